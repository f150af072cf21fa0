//! An account that was just under attack is used by somebody else than its owner.
//!
//! # What it finds
//! A login that succeeds within six hours of an attack on passwords (brute-force, password-spray, credential-stuffing): from one of the addresses that
//! attacked, or, for an account that was attacked, from a network neither it nor the organisation uses.
//!
//! # Why it matters
//! Lists of passwords are tried from one place and used from another, hours later, when nobody looks at the failures any more.
//!
//! # How it decides
//! What the three rules find marks the accounts and the addresses they name (up to fifty of each at a time) for six hours after their last event. A success from a
//! network the account has used for a day or longer is its owner at work and no finding. From an attacking address it is high. From another network
//! that is new for the account and shared by fewer than three others it is high where the country is new or the network a data
//! centre, else medium; that is said only of accounts seen on three days or more. Successes that were read before the attack was recognised count too. Six hours are those of
//! Elastic's rule on successes after credential attacks.
//!
//! # False positives
//! The owner of an attacked account on the first day of a journey.
//!
//! # What to check
//! - Ask the owner whether the login was his. If not: end the sessions, change the password, look at what was exported.
//! - Which other accounts did the same address reach? Search by `source.ip`.
//!
//! # Settings
//! - `hours` (6): for how long after the attack.

use serde::{Deserialize, Serialize};

use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::mark::Mark;
use crate::names::{of_actor, who};
use crate::steps::{Step, Steps};
use crate::watch::{Post, Watch};
use crate::wording::moment;

/// The rules whose findings are attacks on passwords.
const ATTACKS: [&str; 3] = ["brute-force", "password-spray", "credential-stuffing"];
const HOUR: Millis = 3_600_000;
/// The longest window of those rules.
const LONGEST_ATTACK: Millis = 24 * HOUR;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 6 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Attack {
    rule: Box<str>,
    from: Millis,
    to: Millis,
    reference: Mark,
}

/// What is remembered under a name or an address.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Target {
    attack: Option<Attack>,
    /// Successes from strange networks; the amount is how strange, the words whose.
    successes: Steps,
}

impl Resident for Target {
    fn rank(&self) -> u8 {
        u8::from(self.attack.is_some()) + u8::from(!self.successes.is_empty())
    }
}

/// See the file's head.
pub struct SuccessAfterAttack;

/// How strange a success must be for an attack on its account to count.
const LEAST_OF_NAME: f64 = 2.0;
const OF_NAME: &str = "name/";
const OF_ADDRESS: &str = "address/";

fn strangeness(event: &Event, context: &Context) -> Option<f64> {
    let view = context.view(event);
    let strange = if view.mature() {
        view.strange_network()
    } else {
        view.outside() && !view.shared(crate::habits::Kind::Prefix)
    };
    strange.then(|| match view.mature() {
        true if view.new_country() || view.hosting() => 3.0,
        true => 2.0,
        // Nothing is known of this account: only where the attack came from counts.
        false => 1.0,
    })
}

impl Watch for SuccessAfterAttack {
    const ID: &'static str = "success-after-attack";
    const SOURCE: &'static str = include_str!("success_after_attack.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1078", "T1110"];
    const ACTIONS: &'static [&'static str] = &["login"];
    type Settings = Settings;
    type State = Target;

    fn lasting(settings: &Settings) -> Option<Millis> {
        Some(Millis::from(settings.hours) * HOUR + LONGEST_ATTACK)
    }

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) != Some("success") || account_key(event).is_none() {
            return;
        }
        let Some(strange) = strangeness(event, context) else { return };
        let within = Millis::from(at.settings.hours) * HOUR;
        let step = Step::of(event, strange, &who(event));
        let address = event.ip(Field::SourceIp).map(|address| format!("{OF_ADDRESS}{address}"));
        // Under a name only what is judged by it ([`judge`]): of an account nothing is known of, where the attack came from alone counts.
        let names = if strange >= LEAST_OF_NAME { of_actor(event) } else { Vec::new() };
        let names = names.into_iter().map(|name| format!("{OF_NAME}{name}"));
        let mut told = false;
        for key in address.into_iter().chain(names) {
            let target = at.states.touch(&key, event.time);
            target.successes.add(step.clone());
            let Some(attack) = &target.attack else { continue };
            if !told && let Some(severity) = judge(&key, attack, &step, within) {
                out.push(tell(event, severity, attack, &step));
                told = true;
            }
        }
    }

    fn hear(at: &mut Post<'_, Self>, found: &[Detection], event: &Event, _: &Context, out: &mut Vec<Detection>) {
        let within = Millis::from(at.settings.hours) * HOUR;
        for detection in found.iter().filter(|detection| ATTACKS.contains(&&*detection.rule)) {
            let of = |name: &str, word: &'static str| {
                let values = detection.entity.0.get(name).cloned().unwrap_or_default();
                values.into_iter().map(move |value| format!("{word}{}", value.to_lowercase()))
            };
            let mut told: Vec<Mark> = Vec::new();
            for key in of(Field::SourceIp.name(), OF_ADDRESS).chain(of(Field::UserName.name(), OF_NAME)) {
                let target = at.states.touch(&key, event.time);
                let (from, to) = (detection.window.0, detection.window.1.max(event.time));
                let goes_on = target.attack.as_ref().filter(|attack| from <= attack.to.saturating_add(within));
                let from = goes_on.map_or(from, |attack| attack.from.min(from));
                let to = goes_on.map_or(to, |attack| attack.to.max(to));
                let attack = Attack { rule: (&*detection.rule).into(), from, to, reference: Mark::of(event) };
                for step in target.successes.between(from, to.saturating_add(within)) {
                    if !told.contains(&step.reference)
                        && let Some(severity) = judge(&key, &attack, step, within)
                    {
                        out.push(tell(event, severity, &attack, step));
                        told.push(step.reference);
                    }
                }
                target.attack = Some(attack);
            }
        }
    }
}

fn judge(key: &str, attack: &Attack, step: &Step, within: Millis) -> Option<Severity> {
    if step.time < attack.from || step.time > attack.to.saturating_add(within) {
        return None;
    }
    match (key.starts_with(OF_ADDRESS), step.amount) {
        (true, _) => Some(Severity::High),
        (false, strange) if strange >= 3.0 => Some(Severity::High),
        (false, strange) if strange >= LEAST_OF_NAME => Some(Severity::Medium),
        _ => None,
    }
}

fn tell(event: &Event, severity: Severity, attack: &Attack, step: &Step) -> Detection {
    let who = &*step.words;
    let from = step.address.map_or("-".to_owned(), |address| address.to_string());
    let mut detection = SuccessAfterAttack::detection(event, severity);
    // Whose login it was, not who failed last.
    detection.entity = crate::finding::Identities::default();
    detection.entity.add(Field::UserName.name(), who);
    if let Some(address) = step.address {
        detection.entity.add(Field::SourceIp.name(), &address.to_string());
    }
    detection.primary = Field::UserName.name();
    detection.subject = who.to_owned();
    let evidence = [&attack.reference, &step.reference].into_iter().filter(|one| one.id != event.id).cloned().collect();
    let detection = detection.resting_on(evidence, attack.from, step.time.max(attack.to));
    let (rule, last) = (&attack.rule, moment(attack.to));
    Detection {
        summary: Sentence::new(
            format!(
                "{who} logged in from {from}, which the account does not use, after an attack on passwords that went on until {last}"
            ),
            format!("在持续到 {last} 的密码攻击之后，{who} 从不常用的 {from} 登录成功"),
        ),
        observed: Sentence::new(
            format!("a success from {from} after {rule}"),
            format!("{rule} 之后从 {from} 登录成功"),
        ),
        expected: Sentence::new(
            "after an attack its owner logs in from where he always does",
            "攻击之后，账户所有者应从惯常位置登录",
        ),
        quiet: 6 * HOUR,
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{Detector, RestoreError, Rule};
    use crate::engine::Engine;
    use crate::finding::Finding;
    use crate::scenario::{BERLIN, BRAZIL, DAY, NEW_YORK_VPN, Site, event, failed, fortnight};

    fn run(events: &[Event]) -> Vec<Finding> {
        let settings = serde_json::json!({});
        let sigma = crate::sigma::Sigma::new(&crate::engine::Settings::new(), &crate::sigma::Texts::default())
            .expect("shipped rules load");
        let detector = crate::watch::build::<SuccessAfterAttack>(&settings).expect("defaults fit");
        let mut engine = Engine::with(vec![detector, Box::new(Late(Box::new(sigma)))]);
        events.iter().for_each(|event| engine.observe(event));
        engine.drain().into_iter().filter(|finding| &*finding.rule == "success-after-attack").collect()
    }

    /// Sigma stands last in the registry, too: what it finds is heard all the same.
    struct Late(Box<dyn Detector>);

    impl Detector for Late {
        fn id(&self) -> &'static str {
            self.0.id()
        }

        fn rules(&self) -> Vec<Rule> {
            self.0.rules()
        }

        fn observe(&mut self, event: &Event, context: &Context, out: &mut Vec<Detection>) {
            self.0.observe(event, context, out);
        }

        fn memory(&mut self) -> Vec<crate::memory::Shelf<'_>> {
            self.0.memory()
        }

        fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
            self.0.restore(key, value)
        }
    }

    fn story(attacked_from: Site, login: Site, after: i64) -> Vec<Event> {
        let start = 15 * DAY + 60;
        let mut events = fortnight("mia");
        events.extend((0..12).map(|nth| failed(event(start + nth, "mia", attacked_from, "login", -1))));
        events.push(event(start + 12 + after, "mia", login, "login", -1));
        events
    }

    #[test]
    fn a_success_from_the_attacker_s_address_or_from_another_strange_one_is_high() {
        let found = run(&story(NEW_YORK_VPN, NEW_YORK_VPN, 30));
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert_eq!(found[0].primary_value(), "mia");
        assert!(!found[0].summary.zh.is_empty());
        assert_eq!(run(&story(NEW_YORK_VPN, BRAZIL, 300))[0].severity, Severity::High);
    }

    #[test]
    fn its_owner_at_work_and_a_journey_the_day_after_are_no_finding() {
        assert!(run(&story(NEW_YORK_VPN, BERLIN, 30)).is_empty());
        assert!(run(&story(NEW_YORK_VPN, BRAZIL, 7 * 60)).is_empty());
        assert!(run(&story(BERLIN, BERLIN, 10)).is_empty(), "a stale secret that is renewed");
    }

    #[test]
    fn a_success_that_was_read_before_the_attack_was_recognised_counts() {
        let mut events = story(NEW_YORK_VPN, NEW_YORK_VPN, 2);
        let success = events.pop().expect("the last");
        let place = events.len() - 6;
        events.insert(place, success);
        assert_eq!(run(&events).len(), 1);
    }
}
