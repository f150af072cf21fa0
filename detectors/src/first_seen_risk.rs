//! A login, or calls with a token, in surroundings that are all new for the account: country, network, browser.
//!
//! # What it finds
//! A successful login whose network and program are, taken together, very improbable for this account; or calls of a script in a person's name, which
//! need no login where a token has been stolen.
//!
//! # Why it matters
//! A password that works for a stranger shows in nothing but the surroundings: he comes from elsewhere, with another machine.
//!
//! # How it decides
//! After Freeman and others (NDSS 2016), each feature is judged on several levels, so that a new address in a known network is no surprise: the
//! network by prefix (0.6), owner (0.3) and country (0.1), the program by its whole text (0.54) and by browser and system (0.46). On each level the
//! probability is the share of the account's active hours with this value, where what is common in the organisation counts as one
//! hour more. The negative decimal logarithms of both are added (1 for any new line up to 4, at home 2, and up to 2.5; for the program, in a country that is not new, no more
//! than the logarithm of how often logins here come with a new one, but 1.2), up to 3 in the same way for an hour in the midst of the account's night
//! and up to 1.2 at the edges of its day (five hours after the last and two before the first in which it ever worked; of few hours or weekends only the night counts), and one point for a
//! data centre that the organisation does not use. From `score` on it is medium, half a point below it low. A
//! new computer at the own desk has up to 2.5, a journey with the own computer up to 4, a stranger 6 to 8. Only accounts seen on five days are judged, and only
//! values known for a day count as the account's own. Calls are looked at where
//! no browser made them, no app is named (see integration-new-network) and both the network and the program are new. What was medium on two days of a fortnight, with the same browser from the same country, is low from then on.
//!
//! # False positives
//! A new computer taken into use abroad.
//!
//! # What to check
//! - Ask the owner, by another channel, whether the login was his.
//! - What did the session do? Search by `user.name` and `source.ip`.
//!
//! # Settings
//! - `score` (5): from which sum on it is reported.

use serde::{Deserialize, Serialize};

use crate::baseline::{stable_hash, surprise};
use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::habits::{Kind, View};
use crate::keyed::Resident;
use crate::names::who;
use crate::place::{country, name_of};
use crate::watch::{Post, Watch};

/// Most that a network may add, and a program: people buy computers more often than they move.
const NETWORK_CAP: f64 = 4.0;
const PROGRAM_CAP: f64 = 2.5;
/// What a network in the person's own country may add.
const HOME_CAP: f64 = 2.0;
/// A new line is met on one day in ten: lines are given new numbers, people work from cafés.
const NEW_LINE: f64 = 1.0;
/// From so many points on the program is another.
const OTHER_PROGRAM: f64 = 0.75;
/// And an hour at which the account never works: in the midst of its night, and at the edges of its day.
const HOUR_CAP: f64 = 3.0;
const EDGE_CAP: f64 = 1.2;
const NIGHT: f64 = 0.75;
/// The edges: so many hours after the last in which it ever worked, and before the first.
const HOURS_LATE: usize = 5;
const HOURS_EARLY: usize = 2;
/// Fewer log in at an hour than are active in it: what is only begun is rarer by this.
const OTHER_HOUR: f64 = 0.5;
const RARE_HOUR: f64 = 0.01;
/// Active hours from which on any hour may be known to be foreign; before, only the night where the person works.
const ENOUGH_HOURS: f64 = 30.0;
/// The share of an hour and its neighbours, if all hours of weekdays and weekends were alike.
const ANY_HOUR: f64 = 3.0 / 48.0;
const LEAST_DAYS: u32 = 5;
const NETWORK: [(Kind, f64); 3] = [(Kind::Prefix, 0.6), (Kind::Owner, 0.3), (Kind::Country, 0.1)];
const PROGRAM: [(Kind, f64); 2] = [(Kind::Browser, 0.54), (Kind::Agent, 0.46)];

/// As if so many logins had been seen before the first, one of them with a new program: ten to the power of [`PROGRAM_CAP`].
const BEFORE_ANY: f64 = 316.0;
/// A new program counts for this at least: whoever logs in with a hundred of them does not make them usual.
const PROGRAM_LEAST: f64 = 1.2;
const MOST_LOGINS: f64 = 4_000.0;

const DAY: Millis = 86_400_000;
const FORTNIGHT: Millis = 14 * DAY;
/// Surroundings of one account that are remembered as told.
const TOLD_KEPT: usize = 4;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    score: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { score: 5.0 }
    }
}

/// What was told of an account: the browser and country, how often, and when last; and how often its logins are with a new program, which is
/// counted for the organisation only.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Told {
    told: Vec<(u32, u8, Millis)>,
    logins: f64,
    novel: f64,
}

impl Resident for Told {
    fn rank(&self) -> u8 {
        // The organisation's is never let go.
        if self.logins > 0.0 { 2 } else { 0 }
    }
}

impl Told {
    /// Whether the same was told on two days of the fortnight before: whoever has not acted on it by then is not helped by a third.
    fn known(&self, what: u32, time: Millis) -> bool {
        self.told.iter().any(|one| one.0 == what && one.1 >= 2 && one.2.abs_diff(time) <= FORTNIGHT.unsigned_abs())
    }

    fn note(&mut self, what: u32, time: Millis) {
        match self.told.iter_mut().find(|one| one.0 == what) {
            Some(one) if one.2.abs_diff(time) > FORTNIGHT.unsigned_abs() => *one = (what, 1, time),
            Some(one) if one.2.div_euclid(DAY) != time.div_euclid(DAY) => *one = (what, one.1.saturating_add(1), time),
            Some(_) => {}
            None => {
                if self.told.len() >= TOLD_KEPT {
                    self.told.remove(0);
                }
                self.told.push((what, 1, time));
            }
        }
    }
}

impl Told {
    /// Counts a login. What is long ago is forgotten by halves.
    fn count(&mut self, novel: bool) {
        if self.logins >= MOST_LOGINS {
            self.logins /= 2.0;
            self.novel /= 2.0;
        }
        self.logins += 1.0;
        self.novel += f64::from(u8::from(novel));
    }

    /// How surprising a new program is here at all.
    fn novelty(&self) -> f64 {
        surprise((self.novel + 1.0) / (self.logins + BEFORE_ANY), PROGRAM_CAP).max(PROGRAM_LEAST)
    }
}

/// The key under which the organisation's logins are counted: no account's.
const ORGANISATION: &str = "*";

/// See the file's head.
pub struct FirstSeenRisk;

/// The probability of a feature for its account, by the levels that the event tells.
fn probability(view: &View<'_>, levels: &[(Kind, f64)]) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (kind, weight) in levels {
        let Some([own, all_own, common, all]) = view.counts(*kind) else { continue };
        sum += weight * (own + common / (all + 1.0)) / (all_own + 1.0);
        weights += weight;
    }
    (weights > 0.0).then(|| sum / weights)
}

impl Watch for FirstSeenRisk {
    const ID: &'static str = "first-seen-risk";
    const SOURCE: &'static str = include_str!("first_seen_risk.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1078"];
    const ACTIONS: &'static [&'static str] = &["login", "api-call", "bulk-api"];
    type Settings = Settings;
    type State = Told;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let login = event.text(Field::EventAction) == Some("login");
        if (login && event.text(Field::EventOutcome) != Some("success")) || (!login && !with_a_token(event)) {
            return;
        }
        let Some(key) = account_key(event) else { return };
        let view = context.view(event);
        // In the own city a new line is everyday; with another browser on another system it is judged, too.
        let strange = view.strange_network() || (view.new_line() && view.new_agent());
        let elsewhere = login || (view.strange_network() && view.new_agent());
        if !view.mature() || view.days() < LEAST_DAYS {
            return;
        }
        let novelty = at.states.get(ORGANISATION).map_or(PROGRAM_CAP, Told::novelty);
        if login {
            at.states.touch(ORGANISATION, event.time).count(view.new_agent());
        }
        if !strange || !elsewhere {
            return;
        }
        let network = probability(view, &NETWORK).map_or(0.0, |p| surprise(p, NETWORK_CAP));
        // Whoever comes home from abroad, or is new at his desk, is in no strange country.
        let network = if view.at_home() { network.min(HOME_CAP) } else { network };
        let network = network.max(NEW_LINE);
        let program = probability(view, &PROGRAM).map_or(0.0, |p| surprise(p, PROGRAM_CAP));
        // People take new computers and telephones into use at home: abroad one is as strange as ever.
        let program = if view.new_country() { program } else { program.min(novelty) };
        let hosting = f64::from(u8::from(view.hosting()));
        // Of few hours, or of weekends none of which was seen, only the night is known to be nobody's.
        let enough = view.hours_near(1).is_some_and(|(_, hours)| hours >= ENOUGH_HOURS) && !view.strange_weekend();
        let hour = view
            .hour_share(1)
            .filter(|share| *share < RARE_HOUR)
            .map_or(0.0, |share| OTHER_HOUR + surprise(share / ANY_HOUR, HOUR_CAP));
        // Late or early at the edge of the day is everybody now and then; in the midst of his night nobody is.
        let far = view.active_around(HOURS_LATE, HOURS_EARLY) == Some(false) && !view.strange_weekend();
        let hour = match far || view.night() == Some(true) {
            true if hour > 0.0 => (hour + NIGHT).min(HOUR_CAP),
            false if enough => hour.min(EDGE_CAP),
            _ => 0.0,
        };
        let score = network + program + hosting + hour;
        let severity = match score - at.settings.score {
            // With the computer it always comes with, it is a journey.
            over if over >= 0.0 && program + hosting >= OTHER_PROGRAM => Severity::Medium,
            over if over >= -0.5 => Severity::Low,
            _ => return,
        };
        let agent = event.text(Field::UserAgentName).or_else(|| event.text(Field::UserAgent)).unwrap_or_default();
        let what = stable_hash(agent) ^ u32::from(u16::from_be_bytes(country(event)));
        let told = at.states.touch(&key, event.time);
        let severity = if told.known(what, event.time) { Severity::Low } else { severity };
        if severity >= Severity::Medium {
            told.note(what, event.time);
        }
        out.push(tell(event, severity, view, [network, program, hosting, hour]));
    }
}

/// Whether a script calls in a person's name and for no app: what a stolen token is good for.
fn with_a_token(event: &Event) -> bool {
    event.text(Field::EventOutcome) != Some("failure")
        && !matches!(event.text(Field::UserAgentDevice), Some("desktop" | "mobile"))
        && ![Field::OauthClientId, Field::OauthClientName].iter().any(|app| event.has(*app))
        && !event.person.as_ref().is_some_and(|person| person.is_program())
}

fn tell(event: &Event, severity: Severity, view: &View<'_>, parts: [f64; 4]) -> Detection {
    let who = who(event);
    let place = name_of(event.text(Field::SourceCity).unwrap_or_default(), country(event));
    let mut new = Vec::new();
    let mut new_zh = Vec::new();
    for (is_new, en, zh) in [
        (view.new_country(), "country", "国家"),
        (view.new_network(), "network", "网络"),
        (view.new_agent(), "browser or program", "浏览器或程序"),
    ] {
        if is_new {
            new.push(en);
            new_zh.push(zh);
        }
    }
    let (new, new_zh) = (new.join(", "), new_zh.join("、"));
    let login = event.text(Field::EventAction) == Some("login");
    let (did, did_zh) =
        if login { ("logged in", "登录") } else { ("called the interface by a script", "用脚本调用接口") };
    Detection {
        summary: Sentence::new(
            format!("{who} {did} from {place} in surroundings the account never had: new {new}"),
            format!("{who} 从 {place} {did_zh}，环境对该账户全新：{new_zh}"),
        ),
        observed: Sentence::new(format!("new for the account: {new}"), format!("对该账户全新：{new_zh}")),
        expected: Sentence::new(
            format!("what it used on {} days", view.days()),
            format!("该账户在 {} 天中使用过的环境", view.days()),
        ),
        parts: ["network", "program", "data centre", "hour"].into_iter().zip(parts).collect(),
        quiet: 6 * 3_600_000,
        ..FirstSeenRisk::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        BERLIN, CHROME, DAY, FIREFOX, MUNICH, NEW_YORK_VPN, PARIS, SAO_PAULO, Site, event, fortnight, kept_promises,
        play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<FirstSeenRisk>(&serde_json::json!({})).expect("defaults fit")
    }

    fn story(site: Site, agent: &str) -> Vec<Event> {
        let login = with(event(15 * DAY + 600, "mia", site, "login", -1), Field::UserAgent, agent);
        fortnight("mia").into_iter().chain([login]).collect()
    }

    #[test]
    fn a_stranger_s_login_is_medium_and_says_what_is_new() {
        for site in [SAO_PAULO, NEW_YORK_VPN] {
            let found = kept_promises(&make, story(site, FIREFOX));
            assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
            assert!(found[0].summary.en.contains("country, network, browser"), "{}", found[0].summary.en);
        }
    }

    #[test]
    fn a_journey_with_the_own_computer_and_a_new_computer_at_the_own_desk_or_in_the_own_country_are_not() {
        assert!(worst(&play_all(&make, story(PARIS, CHROME))) < Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, story(BERLIN, FIREFOX))), None);
        assert!(worst(&play_all(&make, story(MUNICH, FIREFOX))) < Some(Severity::Medium));
    }

    #[test]
    fn an_account_of_a_few_days_is_not_judged() {
        let events = story(SAO_PAULO, FIREFOX).split_off(14 * 4 - 8);
        assert_eq!(play_all(&make, events).len(), 0);
    }

    #[test]
    fn where_everybody_begins_to_use_a_telephone_one_more_is_no_finding_but_a_stranger_is() {
        let work = |user: &str| crate::scenario::office(0..9, user, BERLIN, 180);
        let chrome = |events: Vec<Event>| events.into_iter().map(|event| with(event, Field::UserAgent, CHROME));
        let line = |third: u8| -> Site {
            let address: &'static str = Box::leak(format!("203.0.{third}.9").into_boxed_str());
            (address, BERLIN.1, BERLIN.2, BERLIN.3, BERLIN.4, BERLIN.5, BERLIN.6, BERLIN.7)
        };
        let evening = |user: &str, minute: i64, site: Site| {
            with(event(9 * DAY + 21 * 60 + minute, user, site, "login", -1), Field::UserAgent, FIREFOX)
        };
        let told = |others: u8, hour: i64, last: Site| {
            let names: Vec<String> = (0..others).map(|nth| format!("u{nth}")).collect();
            let mut events: Vec<Event> =
                names.iter().map(String::as_str).chain(["mia"]).flat_map(|user| chrome(work(user))).collect();
            events.extend(names.iter().zip(130..).map(|(user, third)| evening(user, i64::from(third), line(third))));
            let colleagues = (0..20).flat_map(|nth| crate::scenario::office(0..9, &format!("p{nth}"), PARIS, 180));
            events.extend(colleagues.map(|event| with(event, Field::UserAgent, CHROME)));
            events.push(evening("mia", 290 - (26 - hour) * 60, last));
            events.sort_by_key(|event| event.time);
            let found = play_all(&make, events);
            worst(&found.into_iter().filter(|one| one.summary.en.starts_with("mia")).collect::<Vec<_>>())
        };
        assert_eq!(told(0, 26, line(129)), Some(Severity::Medium), "nobody else does: that is worth a look");
        assert!(told(60, 26, line(129)) < Some(Severity::Medium));
        assert_eq!(told(60, 26, SAO_PAULO), Some(Severity::Medium));
        let hotel = ("203.0.150.9", PARIS.1, PARIS.2, PARIS.3, PARIS.4, PARIS.5, PARIS.6, PARIS.7);
        assert!(told(60, 34, hotel) >= Some(Severity::Low), "by day, in a country where only colleagues work");
    }

    #[test]
    fn a_stranger_s_computer_from_the_own_city_at_night_is_medium_of_somebody_of_few_hours_and_low_by_day() {
        let neighbour: Site = ("203.0.140.9", BERLIN.1, BERLIN.2, BERLIN.3, BERLIN.4, BERLIN.5, BERLIN.6, BERLIN.7);
        let at = |hour: i64| {
            let work = crate::scenario::office(0..9, "mia", BERLIN, 180);
            let work = work.into_iter().map(|event| with(event, Field::UserAgent, CHROME));
            let login = event(9 * DAY + hour * 60, "mia", neighbour, "login", -1);
            let mut events: Vec<Event> = work.chain([with(login, Field::UserAgent, FIREFOX)]).collect();
            let zone = Some(chrono_tz::Europe::Berlin);
            let mia = std::sync::Arc::new(crate::Person { user: "mia".into(), timezone: zone, ..Default::default() });
            events.iter_mut().for_each(|event| event.person = Some(std::sync::Arc::clone(&mia)));
            worst(&play_all(&make, events))
        };
        assert_eq!(at(2), Some(Severity::Medium));
        // By day, and on a first Saturday's noon, it may be a new computer.
        assert!(at(11) < Some(Severity::Medium) && at(-4 * 24 + 12) < Some(Severity::Medium));
    }

    #[test]
    fn a_stolen_token_needs_no_login_and_the_own_script_at_the_own_desk_and_an_app_are_left_alone() {
        let call = |site: Site, agent: &str| {
            let call = with(event(15 * DAY + 600, "mia", site, "api-call", 200), Field::UserAgent, agent);
            with(call, Field::UserAgentDevice, "script")
        };
        let after = |call: Event| worst(&play_all(&make, fortnight("mia").into_iter().chain([call]).collect()));
        let script = "python-requests/2.32.3";
        assert_eq!(after(call(crate::scenario::DUBLIN_CLOUD, script)), Some(Severity::Medium));
        assert_eq!(after(call(BERLIN, script)), None);
        assert_eq!(after(with(call(crate::scenario::DUBLIN_CLOUD, script), Field::OauthClientId, "loader")), None);
        let found = kept_promises(
            &make,
            fortnight("mia").into_iter().chain([call(crate::scenario::DUBLIN_CLOUD, script)]).collect(),
        );
        assert!(found[0].summary.en.contains("called the interface by a script"), "{}", found[0].summary.en);
    }
}
