//! What the operator knows and the logs do not, from `[[allow]]`, `[[travel]]` and `[[maintenance]]` as they are written to what findings are
//! held against. Not for holding them against it (`crmwatch_detectors::allowance`).

use crmwatch_detectors::Millis;
use crmwatch_detectors::allowance::{Allowance, Knowledge, OF_PLACE};
use crmwatch_detectors::place::Cidr;
use toml::Spanned;

use super::error::{Problems, nearest};
use super::raw;

const DAY: Millis = 86_400_000;

/// As they are written.
type Lists = (Vec<Spanned<raw::Allow>>, Vec<Spanned<raw::Travel>>, Vec<Spanned<raw::Maintenance>>);

/// Checks all three lists.
pub(super) fn check(
    (allow, travel, maintenance): Lists,
    sources: &[super::Source],
    own_rules: bool,
    problems: &mut Problems<'_>,
) -> Vec<Allowance> {
    let mut checking = Checking { problems, own_rules };
    let mut checked: Vec<Allowance> = allow.into_iter().filter_map(|one| checking.allow(one)).collect();
    checked.extend(travel.into_iter().filter_map(|one| checking.travel(&one.into_inner())));
    checked.extend(maintenance.into_iter().filter_map(|one| checking.maintenance(one, sources)));
    checked
}

struct Checking<'p, 't> {
    problems: &'p mut Problems<'t>,
    /// Rules of the operator's own are known only when their files are read.
    own_rules: bool,
}

impl Checking<'_, '_> {
    fn allow(&mut self, written: Spanned<raw::Allow>) -> Option<Allowance> {
        let at = written.span().start;
        let raw::Allow { rule, user, group, app, network, object, until, reason } = written.into_inner();
        let named = [&user, &group, &app, &object].iter().any(|one| one.is_some());
        if !named && network.is_none() && rule.is_none() {
            self.problems.at(
                at,
                "this entry would silence everything",
                "name what it is about: user, group, app, network, object or rule",
            );
        }
        let network = network.and_then(|text| {
            let network = Cidr::parse(text.get_ref());
            if network.is_none() {
                self.problems.at(
                    text.span().start,
                    format!("{:?} is no network", text.get_ref()),
                    "write an address or a network such as \"198.51.100.0/24\"",
                );
            }
            network
        });
        let rules = rule.into_iter().filter_map(|rule| self.rule(rule)).collect();
        let until = self.moment(&until, true);
        let reason = self.reason(reason);
        Some(Allowance {
            rules,
            user,
            group,
            app,
            network,
            object,
            until: until?,
            ..Allowance::new(Knowledge::Allowed, &reason?)
        })
    }

    fn travel(&mut self, written: &raw::Travel) -> Option<Allowance> {
        let country = written.country.get_ref();
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            self.problems.at(
                written.country.span().start,
                format!("{country:?} is no country"),
                "use the two letters of ISO 3166, e.g. \"DE\" or \"CN\"",
            );
        }
        if written.person.get_ref().trim().is_empty() {
            self.problems.at(written.person.span().start, "nobody travels", "name the person as the people file does");
        }
        let span = self.span(&written.from, &written.to);
        let reason = self.reason(written.reason.clone());
        let (from, until) = span?;
        Some(Allowance {
            rules: OF_PLACE.map(str::to_owned).to_vec(),
            user: Some(written.person.get_ref().clone()),
            country: Some(country.clone()),
            from,
            until,
            ..Allowance::new(Knowledge::Travel, &reason?)
        })
    }

    fn maintenance(&mut self, written: Spanned<raw::Maintenance>, sources: &[super::Source]) -> Option<Allowance> {
        let at = written.span().start;
        let raw::Maintenance { from, to, rules, sources: named, reason } = written.into_inner();
        if rules.is_empty() && named.is_empty() {
            self.problems.at(
                at,
                "this window would silence everything",
                "name the rules or the sources that the work concerns",
            );
        }
        for source in &named {
            if !sources.iter().any(|one| one.name == *source.get_ref()) {
                let near = nearest(source.get_ref(), sources.iter().map(|one| one.name.as_str()));
                let mend =
                    near.map_or("name a [[source]] of this file".to_owned(), |near| format!("did you mean {near:?}?"));
                self.problems.at(source.span().start, format!("there is no source {:?}", source.get_ref()), mend);
            }
        }
        let rules = rules.into_iter().filter_map(|rule| self.rule(rule)).collect();
        let span = self.span(&from, &to);
        let reason = self.reason(reason);
        let (from, until) = span?;
        Some(Allowance {
            rules,
            sources: named.into_iter().map(Spanned::into_inner).collect(),
            from,
            until,
            ..Allowance::new(Knowledge::Maintenance, &reason?)
        })
    }

    /// Without one nobody dares to remove the entry.
    fn reason(&mut self, reason: Spanned<String>) -> Option<String> {
        if reason.get_ref().trim().is_empty() {
            self.problems.at(
                reason.span().start,
                "the reason is empty",
                "say why in a few words: whoever reviews the list needs it",
            );
            return None;
        }
        Some(reason.into_inner())
    }

    fn rule(&mut self, rule: Spanned<String>) -> Option<String> {
        let known = || crmwatch_detectors::registry::ids();
        if !self.own_rules && !known().any(|id| id == rule.get_ref()) {
            let mend = match nearest(rule.get_ref(), known()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "`crmwatch detectors list` shows them all".to_owned(),
            };
            self.problems.at(rule.span().start, format!("there is no rule {:?}", rule.get_ref()), mend);
            return None;
        }
        Some(rule.into_inner())
    }

    fn span(&mut self, from: &Spanned<toml::Value>, to: &Spanned<toml::Value>) -> Option<(Millis, Millis)> {
        let (first, last) = (self.moment(from, false), self.moment(to, true));
        let span = (first?, last?);
        if span.1 < span.0 {
            self.problems.at(to.span().start, "it ends before it begins", "the day in `to` is included");
            return None;
        }
        Some(span)
    }

    /// A time, or a day in UTC; `end` means the day's last moment.
    fn moment(&mut self, written: &Spanned<toml::Value>, end: bool) -> Option<Millis> {
        let text = match written.get_ref() {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let time = chrono::DateTime::parse_from_rfc3339(&text).map(|time| time.timestamp_millis()).ok();
        let day = || {
            let day = text.parse::<chrono::NaiveDate>().ok()?;
            Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis() + if end { DAY - 1 } else { 0 })
        };
        let moment = time.or_else(day);
        if moment.is_none() {
            self.problems.at(
                written.span().start,
                format!("{text} is neither a day nor a time with its offset"),
                "write \"2027-03-31\" or \"2027-03-31T18:00:00+02:00\"",
            );
        }
        moment
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crmwatch_detectors::allowance::Knowledge;

    use super::super::{Config, ConfigError};

    fn parsed(text: &str) -> Result<Config, ConfigError> {
        let base = "[[source]]\nname = \"portal\"\npaths = [\"b\"]\n";
        Config::parse(Path::new("crmwatch.toml"), &format!("{base}{text}"))
    }

    fn mistakes(text: &str) -> String {
        parsed(text).expect_err("wrong").to_string()
    }

    #[test]
    fn each_list_is_read_with_days_and_times() {
        let config = parsed(
            "[[allow]]\nrule = \"bulk-export\"\nuser = \"mia\"\nuntil = 2027-03-31\nreason = \"year end\"\n\
             [[travel]]\nperson = \"mia\"\ncountry = \"BR\"\nfrom = \"2027-03-01\"\nto = \"2027-03-02\"\nreason = \"fair\"\n\
             [[maintenance]]\nfrom = 2027-03-01T20:00:00Z\nto = \"2027-03-02T02:00:00+02:00\"\nsources = [\"portal\"]\nreason = \"move\"\n",
        )
        .expect("right");
        let [allow, travel, work] = config.allowances.try_into().expect("three");
        assert_eq!((allow.knowledge, allow.until), (Knowledge::Allowed, 1_806_537_599_999));
        assert_eq!((travel.knowledge, travel.until - travel.from), (Knowledge::Travel, 2 * 86_400_000 - 1));
        assert_eq!((work.knowledge, work.until - work.from), (Knowledge::Maintenance, 4 * 3_600_000));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_its_mend() {
        let text = mistakes(
            "[[allow]]\nuntil = \"soon\"\nreason = \" \"\n\
             [[allow]]\nrule = \"bulk-exprot\"\nnetwork = \"office\"\nuntil = \"2027-01-01\"\nreason = \"x\"\n\
             [[travel]]\nperson = \"mia\"\ncountry = \"Brazil\"\nfrom = \"2027-03-02\"\nto = \"2027-03-01\"\nreason = \"x\"\n\
             [[maintenance]]\nfrom = \"2027-03-01\"\nto = \"2027-03-01\"\nsources = [\"protal\"]\nreason = \"x\"\n\
             [[maintenance]]\nfrom = \"2027-03-01\"\nto = \"2027-03-01\"\nreason = \"x\"\n",
        );
        for part in [
            "4:1: this entry would silence everything",
            "5:9: soon is neither a day nor a time",
            "6:10: the reason is empty",
            "8:8: there is no rule \"bulk-exprot\"",
            "did you mean \"bulk-export\"?",
            "9:11: \"office\" is no network",
            "14:11: \"Brazil\" is no country",
            "16:6: it ends before it begins",
            "21:12: there is no source \"protal\"",
            "did you mean \"portal\"?",
            "23:1: this window would silence everything",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn an_entry_without_reason_or_end_is_refused() {
        assert!(mistakes("[[allow]]\nuser = \"mia\"\nreason = \"x\"\n").contains("missing field `until`"));
        assert!(mistakes("[[allow]]\nuser = \"mia\"\nuntil = \"2027-01-01\"\n").contains("missing field `reason`"));
    }
}
