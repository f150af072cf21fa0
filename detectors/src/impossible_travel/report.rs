//! Puts an impossible journey into words. Not for deciding what is one (`score`).

use std::sync::Arc;

use super::TECHNIQUES;
use super::score::Journey;
use super::traveller::{Anchor, seconds};
use crate::entity::primary_field;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Identities, Sentence, Severity};
use crate::place::name_of;
use crate::wording::{figure, moment, span_en, span_zh};

/// What is to be told.
pub(super) struct Case<'c> {
    pub rule: &'c Arc<str>,
    pub key: &'c str,
    pub severity: Severity,
    pub here: &'c Anchor,
    pub other: &'c Anchor,
    pub journey: &'c Journey,
    pub parts: Vec<(&'static str, f64)>,
    /// It went back to the first place.
    pub returning: bool,
    pub repeat_hours: u32,
}

/// The detection, in words.
pub(super) fn detection(event: &Event, case: Case<'_>) -> Detection {
    let Case { key, here, other, journey, returning, .. } = case;
    let primary = primary_field(event);
    let mut entity = Identities::default();
    entity.add_event(event);
    entity.add(Field::SourceIp.name(), &other.ip.to_string());
    let who = match key.split_once(':') {
        Some(("user-id", _)) | None => event.text(Field::UserId).unwrap_or(key),
        Some(_) => event.text(Field::Person).or(event.text(Field::UserName)).unwrap_or(key),
    };
    let time = seconds(event.time);
    let this = (name_of(&here.city, here.country), time);
    let nearest = if time >= journey.other.to { journey.other.to } else { journey.other.from.min(time) };
    let that = (name_of(&other.city, other.country), nearest);
    let (from, to) = if that.1 <= this.1 { (that, this) } else { (this, that) };
    let gap = Millis::from(journey.gap) * 1_000;
    let distance = figure((journey.distance_km / 10.0).round() * 10.0);
    let (at_once, later_zh) = match journey.gap {
        0..60 => ("at the same time".to_owned(), "同时".to_owned()),
        _ => (format!("{} later", span_en(gap)), format!("{}后", span_zh(gap))),
    };
    let (and_back, and_back_zh) =
        if returning { (" It went back and forth between the two.", "两地之间来回出现。") } else { ("", "") };
    let millis = |seconds: u32| Millis::from(seconds) * 1_000;
    let summary = Sentence::new(
        format!(
            "{who} was active from {} and, {at_once}, from {}: {distance} km, which no flight covers in that time.{and_back}",
            from.0, to.0
        ),
        format!(
            "{who} 在 {} 活动，{later_zh}又在 {} 活动：相距 {distance} 公里，任何航班都来不及。{and_back_zh}",
            from.0, to.0
        ),
    );
    let observed = Sentence::new(
        format!("{} at {}, then {} at {}", from.0, moment(millis(from.1)), to.0, moment(millis(to.1))),
        format!("{} 出现于 {}，{} 出现于 {}", from.0, moment(millis(from.1)), to.0, moment(millis(to.1))),
    );
    let needed = (journey.needed * 1_000.0) as Millis;
    let expected = Sentence::new(
        format!(
            "the journey takes at least {} (counted over {} km, the least the addresses' accuracy allows)",
            span_en(needed),
            figure(journey.least_km)
        ),
        format!(
            "这段路程至少需要 {}（按地址精度允许的最短距离 {} 公里计算）",
            span_zh(needed),
            figure(journey.least_km)
        ),
    );
    let mut evidence = vec![other.reference()];
    evidence.retain(|reference| reference.id != event.id);
    Detection {
        rule: case.rule.clone(),
        severity: case.severity,
        entity,
        primary: if primary == Field::UserId { Field::UserId.name() } else { Field::UserName.name() },
        subject: key.to_owned(),
        summary,
        observed,
        expected,
        window: (millis(from.1).min(event.time), millis(to.1).max(event.time)),
        evidence_count: evidence.len() as u64 + 1,
        evidence,
        techniques: TECHNIQUES.to_vec(),
        parts: case.parts,
        quiet: Millis::from(case.repeat_hours) * 3_600_000,
    }
}
