//! An app is admitted to somebody's data, and then reads it in bulk.
//!
//! # What it finds
//! A consent to an app, or an app installed, and within 24 hours a bulk read by that app, or by a program in the name of whoever consented.
//!
//! # Why it matters
//! People are talked on the telephone into admitting a "loader". From then on the thief needs neither password nor second factor, and a new password
//! does not lock him out: the app must be removed.
//!
//! # How it decides
//! The consent is kept under the names of whoever gave it and under the app's own id and name. Reads count that name the app, and
//! reads of a program (a script, a bulk job) by the same person that name no app. From `records` on it is medium; high where they come from a network that is
//! strange to whoever reads and shared by fewer than three others, or where nothing is known of him yet and the address is another than that of the
//! consent. An app that somebody admitted a week ago or earlier is known and no finding.
//!
//! # False positives
//! The first synchronisation of an app that was introduced on purpose; an administrator who takes a loading tool into use (medium, from the desk).
//!
//! # What to check
//! - Who consented, and why? Ask whether somebody called and asked for it.
//! - If nobody knows the app: remove the app itself and its tokens; a new password is not enough.
//! - What was read? Search by `crm.oauth.client.id` and by the user.
//!
//! # Settings
//! - `hours` (24): how soon after the consent a read counts.
//! - `records` (1000): how many records make a finding.
//! - `known_apps` ([]): ids or names of apps that may.

use serde::{Deserialize, Serialize};

use crate::aftermath::{TAKEN, Trace, amount_and_delay, resting, taken};
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::names::{of_actor, who};
use crate::steps::{Followed, Step};
use crate::watch::{Post, Watch};

const WEEK: Millis = 7 * 86_400_000;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: u32,
    records: f64,
    known_apps: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 24, records: 1_000.0, known_apps: Vec::new() }
    }
}

/// See the file's head.
pub struct OauthAppThenBulkRead;

fn apps(event: &Event) -> Vec<String> {
    let named = [Field::OauthClientId, Field::OauthClientName].into_iter().filter_map(|field| event.text(field));
    named.map(|name| format!("app/{}", name[..name.floor_char_boundary(120)].to_lowercase())).collect()
}

impl Watch for OauthAppThenBulkRead {
    const ID: &'static str = "oauth-app-then-bulk-read";
    const SOURCE: &'static str = include_str!("oauth_app_then_bulk_read.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1528", "T1671", "T1567"];
    const ACTIONS: &'static [&'static str] = &["oauth-grant", "integration-install", TAKEN[0], TAKEN[1], TAKEN[2]];
    type Settings = Settings;
    type State = Trace;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let consent = matches!(event.text(Field::EventAction), Some("oauth-grant" | "integration-install"));
        let apps = apps(event);
        let known = |app: &String| at.settings.known_apps.iter().any(|one| app[4..].eq_ignore_ascii_case(one));
        if apps.iter().any(known) {
            return;
        }
        let (names, step) = if consent {
            let app = event.text(Field::OauthClientName).or_else(|| event.text(Field::OauthClientId)).unwrap_or("?");
            // Known apps: admitted by anybody a week ago or earlier.
            let old = |key: &String| {
                let trace = at.states.get(key);
                trace.is_some_and(|trace| trace.chain.causes.between(Millis::MIN, event.time - WEEK).next().is_some())
            };
            if apps.iter().any(old) {
                return;
            }
            let names = apps.into_iter().chain(of_actor(event)).collect::<Vec<_>>();
            (names, Step::of(event, 0.0, &format!("{}\t{app}", who(event))))
        } else {
            let browser = matches!(event.text(Field::UserAgentDevice), Some("desktop" | "mobile"));
            let program =
                !browser && (event.has(Field::UserAgent) || event.text(Field::EventAction) == Some("bulk-api"));
            let names = match apps.is_empty() {
                false => apps,
                true if program => of_actor(event),
                true => return,
            };
            let view = context.view(event);
            let Some(step) = taken(event, context, view.mature() && view.strange_network()) else { return };
            (names, step)
        };
        let within = Millis::from(at.settings.hours) * 3_600_000;
        let (mut told, late) = (false, event.origin.lateness);
        for name in names {
            if !consent && at.states.get(&name).is_none() && event.origin.lateness == 0 {
                continue;
            }
            let trace = at.states.touch(&name, event.time);
            if consent {
                trace.cause(step.clone())
            } else {
                trace.effect(step.clone(), late)
            }
            let Some(followed) = trace.chain.around(event.time, within) else { continue };
            if followed.amount < at.settings.records {
                continue;
            }
            let elsewhere = |effect: &&&Step| effect.address.is_some() && effect.address != followed.cause.address;
            let strange = followed.effects.iter().any(|effect| &*effect.words == "strange");
            let severity =
                match strange || (!context.view(event).mature() && followed.effects.iter().any(|e| elsewhere(&e))) {
                    true => Severity::High,
                    false => Severity::Medium,
                };
            let detection = tell(event, severity, &followed);
            if trace.worth_telling(event.time, severity) && !told {
                out.push(detection);
            }
            told = true;
        }
    }
}

fn tell(event: &Event, severity: Severity, followed: &Followed<'_>) -> Detection {
    let (who, app) = followed.cause.words.split_once('\t').unwrap_or((&followed.cause.words, "?"));
    let [amount, amount_zh] = amount_and_delay(followed);
    let mut detection = resting(OauthAppThenBulkRead::detection(event, severity), event, followed);
    let mut entity = crate::finding::Identities::default();
    entity.add(Field::UserName.name(), who);
    entity.merge(&detection.entity);
    detection.entity = entity;
    detection.primary = Field::UserName.name();
    detection.subject = format!("{who}/{app}");
    Detection {
        summary: Sentence::new(
            format!("{who} admitted the app {app}, and then a program read {amount}"),
            format!("{who} 授权了应用 {app}，随后程序读取：{amount_zh}"),
        ),
        observed: Sentence::new(format!("consent to {app}, then {amount}"), format!("授权 {app}，随后{amount_zh}")),
        expected: Sentence::new(
            "new apps are introduced by administrators and read little at first",
            "新应用由管理员引入，初期读取很少",
        ),
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        BERLIN, CHROME, DAY, NEW_YORK_VPN, Site, event, fortnight, kept_promises, play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<OauthAppThenBulkRead>(&serde_json::json!({})).expect("defaults fit")
    }

    const START: i64 = 15 * DAY + 600;

    fn consent(minute: i64, who: &str) -> Event {
        let event = with(event(minute, who, BERLIN, "oauth-grant", -1), Field::OauthClientId, "app-7");
        with(event, Field::OauthClientName, "Data Loader 7")
    }

    fn read(minute: i64, site: Site, agent: &str, device: &str) -> Event {
        let event = with(event(minute, "mia", site, "bulk-api", 4_000), Field::UserAgent, agent);
        with(event, Field::UserAgentDevice, device)
    }

    fn story(more: Vec<Event>) -> Vec<Event> {
        fortnight("mia").into_iter().chain(more).collect()
    }

    #[test]
    fn a_loader_admitted_on_the_telephone_that_reads_from_elsewhere_is_high() {
        let reads = (0..3).map(|nth| read(START + 15 + nth, NEW_YORK_VPN, "DataLoader/61", "script"));
        let found = kept_promises(&make, story(std::iter::once(consent(START, "mia")).chain(reads).collect()));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert!(found[0].summary.en.contains("Data Loader 7"), "{}", found[0].summary.en);
    }

    #[test]
    fn the_app_itself_under_no_person_s_name_is_found_by_its_id() {
        let mut own = with(event(START + 20, "", NEW_YORK_VPN, "bulk-api", 9_000), Field::OauthClientId, "APP-7");
        own.remove(Field::UserName);
        let found = play_all(&make, story(vec![consent(START, "mia"), own]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].primary_value(), "mia");
    }

    #[test]
    fn the_person_s_own_export_an_app_known_for_a_week_and_a_listed_one_are_nothing() {
        let own = with(event(START + 20, "mia", BERLIN, "export", 9_000), Field::UserAgentDevice, "desktop");
        assert_eq!(play_all(&make, story(vec![consent(START, "mia"), with(own, Field::UserAgent, CHROME)])).len(), 0);
        let reads = read(START + 15, BERLIN, "DataLoader/61", "script");
        assert_eq!(
            play_all(&make, story(vec![consent(5 * DAY, "ben"), consent(START, "mia"), reads.clone()])).len(),
            0
        );
        let listed = || {
            let settings = serde_json::json!({"known_apps": ["data loader 7"]});
            crate::watch::build::<OauthAppThenBulkRead>(&settings).expect("fits")
        };
        assert_eq!(play_all(&listed, story(vec![consent(START, "mia"), reads.clone()])).len(), 0);
        assert_eq!(worst(&play_all(&make, story(vec![consent(START, "mia"), reads]))), Some(Severity::Medium));
    }
}
