//! One thing and then another: steps in the order of their own times, whatever order they arrive in, and what followed which within how
//! long. Not for counting many (`window`, `sigma::window`).

use std::collections::VecDeque;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compact::{self, Amount};
use crate::event::{Event, Millis};
use crate::mark::Mark;
use crate::sigma::window::trim;

/// Steps of one kind kept for one key.
const ROOM: usize = 24;

/// One step of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When.
    pub time: Millis,
    /// Which event.
    pub reference: Mark,
    /// From where.
    pub address: Option<IpAddr>,
    /// How much, where it is an amount.
    pub amount: f64,
    /// What it was, for the sentence.
    pub words: Box<str>,
}

/// How long a step's words may be.
const LONGEST: usize = 120;

impl Step {
    /// The step that an event is.
    pub fn of(event: &Event, amount: f64, words: &str) -> Step {
        let words = &words[..words.floor_char_boundary(LONGEST)];
        Step {
            time: event.time,
            reference: Mark::of(event),
            address: event.ip(crate::Field::SourceIp),
            amount,
            words: words.into(),
        }
    }
}

/// Steps of one kind, in the order of their times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps(VecDeque<Step>);

impl Serialize for Steps {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let part = |step: &'_ Step| (step.reference, step.address, Amount::from(step.amount));
        compact::in_order(&self.0, |step| (step.time, (part(step), &step.words)), out)
    }
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Steps, D::Error> {
        type Saved = ((Mark, Option<IpAddr>, Amount), Box<str>);
        let whole = |time, ((reference, address, amount), words): Saved| Step {
            time,
            reference,
            address,
            amount: amount.into(),
            words,
        };
        compact::from_order(input, whole).map(Steps)
    }
}

impl Steps {
    /// Puts one in its place. Without room, the end that lies farther away goes; of steps with amounts the two oldest become one.
    pub fn add(&mut self, step: Step) {
        let time = step.time;
        let place = self.0.partition_point(|other| other.time <= time);
        if self.0.iter().any(|other| other.reference.id == step.reference.id && other.time == time) {
            return;
        }
        self.0.insert(place, step);
        if self.0.len() > ROOM && self.0[0].amount > 0.0 && self.0[1].time.abs_diff(time) < 86_400_000 {
            let oldest = self.0.pop_front().map_or(0.0, |step| step.amount);
            self.0[0].amount += oldest;
        }
        trim(&mut self.0, ROOM, time, |step| step.time);
    }

    /// Those from `from` to `to`, both included.
    pub fn between(&self, from: Millis, to: Millis) -> impl DoubleEndedIterator<Item = &Step> + Clone {
        self.0.iter().filter(move |step| step.time >= from && step.time <= to)
    }

    /// The latest at `time` or at most `within` before.
    pub fn before(&self, time: Millis, within: Millis) -> Option<&Step> {
        self.between(time.saturating_sub(within), time).next_back()
    }

    /// Of the windows of that length that hold `time`, the one with the most steps.
    pub fn fullest(&self, time: Millis, span: Millis) -> Vec<&Step> {
        let near: Vec<&Step> = self.between(time.saturating_sub(span), time.saturating_add(span)).collect();
        let window = |start: usize| {
            let end = near[start].time.saturating_add(span);
            near.len() - start - near[start..].iter().rev().take_while(|step| step.time > end).count()
        };
        let best = (0..near.len())
            .filter(|start| near[*start].time <= time)
            .max_by_key(|start| (window(*start), std::cmp::Reverse(*start)));
        best.map_or_else(Vec::new, |start| near[start..start + window(start)].to_vec())
    }

    /// Lets those before `time` go.
    pub fn forget_before(&mut self, time: Millis) {
        self.0.retain(|step| step.time >= time);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Causes and what may have followed from them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// What came first.
    pub causes: Steps,
    /// What may have followed.
    pub effects: Steps,
}

/// A cause with what followed.
pub struct Followed<'c> {
    /// The earliest cause whose time for effects holds the moment asked about.
    pub cause: &'c Step,
    /// What followed it in time, oldest first.
    pub effects: Vec<&'c Step>,
    /// Their amounts together.
    pub amount: f64,
}

impl Chain {
    /// What stands around a step at `time` that was just added to either side.
    pub fn around(&self, time: Millis, within: Millis) -> Option<Followed<'_>> {
        let cause = self.causes.between(time.saturating_sub(within), time).next()?;
        let effects: Vec<&Step> = self.effects.between(cause.time, cause.time.saturating_add(within)).collect();
        let amount = effects.iter().map(|step| step.amount).sum();
        (!effects.is_empty()).then_some(Followed { cause, effects, amount })
    }
}

impl Followed<'_> {
    /// References to all of it, without the deciding event.
    pub fn evidence(&self, deciding: &Event) -> Vec<Mark> {
        std::iter::once(self.cause)
            .chain(self.effects.iter().copied())
            .map(|step| step.reference)
            .filter(|reference| reference.id != deciding.id)
            .collect()
    }

    /// The last effect's time.
    pub fn end(&self) -> Millis {
        self.effects.last().map_or(self.cause.time, |step| step.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, START, event};

    fn step(minute: i64, amount: f64) -> Step {
        Step::of(&event(minute, "mia", BERLIN, "export", minute), amount, "export")
    }

    #[test]
    fn what_followed_is_found_in_whichever_order_it_arrives() {
        let (mut forward, mut backward) = (Chain::default(), Chain::default());
        forward.causes.add(step(0, 0.0));
        forward.effects.add(step(30, 100.0));
        forward.effects.add(step(50, 200.0));
        backward.effects.add(step(50, 200.0));
        backward.effects.add(step(30, 100.0));
        backward.causes.add(step(0, 0.0));
        assert_eq!(forward, backward);
        let hour = 3_600_000;
        for time in [0, 50] {
            let followed = backward.around(START + time * 60_000, hour).expect("followed");
            assert_eq!((followed.amount, followed.effects.len()), (300.0, 2));
        }
        assert!(forward.around(START + 90 * 60_000, hour).is_none());
        let mut before = Chain::default();
        before.effects.add(step(0, 100.0));
        before.causes.add(step(10, 0.0));
        assert!(before.around(START + 600_000, hour).is_none());
    }

    #[test]
    fn steps_are_bounded_and_their_amounts_are_not_lost() {
        let mut steps = Steps::default();
        (0..500).for_each(|minute| steps.add(step(minute, 10.0)));
        assert_eq!(steps.0.len(), ROOM);
        assert_eq!(steps.0.iter().map(|step| step.amount).sum::<f64>(), 5_000.0);
        steps.add(step(499, 10.0));
        assert_eq!(steps.0.len(), ROOM, "the same event again");
        assert!(steps.before(START + 600 * 60_000, 3_600_000 * 3).is_some());
    }
}
