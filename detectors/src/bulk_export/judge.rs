//! Weighs what one entity took out against what is normal for it, for its peers and for the organisation. Not for what it remembers (`exporter`).

use chrono::{DateTime, Datelike, Timelike};

use super::Settings;
use super::exporter::{Exporter, Group, HOUR};
use crate::baseline::{Spread, surprise};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::Severity;
use crate::person::Status;
use crate::place::Network;
use crate::window::Total;

/// What is assumed of an organisation nothing is known of: some 200 records, give or take a factor of four.
const NOTHING_KNOWN: Spread = Spread { mean: 5.3, deviation: 1.5, weight: 5.0 };
const ACTIONS_WHEN_NOTHING_KNOWN: f64 = 3.0;
/// Groups smaller than this say nothing about rank.
const LEAST_GROUP: u64 = 20;
/// How many orders of magnitude own history may add to the rarity among peers.
const BEYOND_PEERS: f64 = 2.0;
/// So many days of peers at least as large make a size that peers reach.
const REACHED: u64 = 3;
/// How many own days what peers do weighs as much as.
const DAYS_OF_PEERS: f64 = 10.0;
/// What one may take beyond his own largest without surprise.
const OWN_TOP: f64 = 1.25;
const ROUTINE: f64 = 1.3;
/// Days of own history from which on it says what is usual, and below which it is too short to tell new from old.
const SETTLED: f64 = 5.0;
const SHORT_PAST: f64 = 3.0;
/// Days from which on a program has a past, and how many times the ceiling one may reach before that if the people file knows it.
const PROGRAM_PAST: f64 = 2.5;
const DECLARED: f64 = 10.0;
/// Points for whoever has none.
const NO_PAST: f64 = 2.0;
/// Doublings of the largest day so far that count.
const GROWTH: f64 = 4.0;
/// So many times what anybody has taken out is beyond every rank, once so many days of exports are known.
const UNHEARD_OF: f64 = 10.0;
const LEAST_KNOWN: u64 = 8;
/// What a size counts for while nothing is known of anybody: any may be usual then.
const UNKNOWN_SIZE: f64 = 0.75;
/// Days until a month's end has been seen for certain, and how many times more than on other days is taken out then.
/// Points more that it takes in the first days of an organisation, less each day until so many have passed.
const UNSURE: f64 = 1.5;
const FORTNIGHT: f64 = 14.0;
pub(crate) const A_MONTH: f64 = 33.0;
const CLOSING: f64 = 5.0;
/// One in a hundred of the own windows; one in a thousand counts of exports.
const OWN_RANGE: f64 = 2.0;
const MANY_ACTIONS: f64 = 3.0;
/// The day's window is rounded out to whole hours, so one hour less covers a day and not two runs of a nightly job.
pub(super) const DAY_WINDOW: Millis = 23 * HOUR;

/// The windows that end with an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub burst: Total,
    pub hour: Total,
    pub day: Total,
    pub week: Total,
}

impl Windows {
    pub(super) fn of(exporter: &Exporter, time: Millis) -> Windows {
        let ring = &exporter.ring;
        let left = |length| {
            let end = ring.end_for(time, length);
            let total = ring.sum(end, length);
            Total { amount: (total.amount - exporter.written.sum(end, length).amount).max(0.0), ..total }
        };
        Windows {
            burst: left(10 * 60_000),
            hour: left(HOUR),
            day: left(DAY_WINDOW),
            week: ring.sum(time, 7 * 24 * HOUR),
        }
    }
}

/// What was decided.
pub(super) struct Verdict {
    pub severity: Severity,
    pub parts: Vec<(&'static str, f64)>,
    /// The day's sum decided, not the hour's.
    pub by_day: bool,
    /// What was taken out, without what was reported before.
    pub amount: f64,
    /// What 99 of 100 such windows of this entity stay below.
    pub usual_most: f64,
    /// The same for its peers.
    pub usual_of_peers: f64,
}

/// What is normal for a window length: for the groups from the widest to the nearest, and for the entity. A window with an export in it is
/// measured against others that had one.
fn normal<'g>(
    exporter: &Exporter,
    groups: impl Iterator<Item = &'g Group>,
    by_day: bool,
    exports: bool,
) -> (Spread, Spread) {
    let peers = groups.fold(NOTHING_KNOWN, |prior, group| {
        let model = match (by_day, exports) {
            (true, false) => &group.days,
            (false, false) => &group.hours,
            (true, true) => &group.export_days,
            (false, true) => &group.export_hours,
        };
        model.given(&prior)
    });
    let own = match (by_day, exports) {
        (true, false) => &exporter.days,
        (false, false) => &exporter.hours,
        (true, true) => &exporter.export_days,
        (false, true) => &exporter.export_hours,
    };
    (own.given(&peers), peers)
}

/// The prior of an entity's own learning.
pub(super) fn prior<'g>(groups: impl Iterator<Item = &'g Group>) -> Spread {
    groups.fold(NOTHING_KNOWN, |prior, group| group.hours.given(&prior))
}

/// Whether the entity's windows are worth an alert; given what the event has that is new for it, whether a program did it, and how many days of
/// the organisation are known.
pub(super) fn judge(
    exporter: &Exporter,
    groups: &[&Group],
    event: &Event,
    windows: &Windows,
    (fresh, is_program, organisation_days): (f64, bool, f64),
    settings: &Settings,
) -> Option<Verdict> {
    let (mut hour, mut day) = (windows.hour.amount, windows.day.amount);
    let floors = (settings.floor_records_per_hour.max(1.0), settings.floor_records_per_day.max(1.0));
    let (told, gap) = (exporter.told, event.time.abs_diff(exporter.told.time));
    if told.amount > 0.0 && gap < 25 * HOUR.unsigned_abs() {
        // What was reported still fills the day's window: looking at a list the morning after is not the same export again.
        if told.since < floors.0 / 4.0 {
            return None;
        }
        if gap > HOUR.unsigned_abs() {
            // What followed the last report and is long over is still that export.
            if hour < floors.0 / 4.0 {
                return None;
            }
            (hour, day) = (hour.min(told.since), day.min(told.since));
        }
    }
    // In a company that has not seen the end of a month yet, those who take things out as their work take out more then, and nobody knows how much.
    let closing =
        if !is_program && closing_days(event) && organisation_days < A_MONTH && exporter.export_days.weight() >= 1.5 {
            CLOSING
        } else {
            1.0
        };
    (hour, day) = (hour / closing, day / closing);
    let (hour_counts, day_counts) = (hour >= floors.0, day >= floors.1);
    if !hour_counts && !day_counts {
        return None;
    }
    let (top_hour, top_day) = exporter.tops(event.time);
    let within_own = (!hour_counts || hour <= OWN_TOP * top_hour) && (!day_counts || day <= OWN_TOP * top_day);
    let routine_hour = exporter.routine_at(event.time);
    let routine_day = exporter.routine_day();
    // Two runs of a nightly job may fall into one day's window when it starts a little earlier.
    let routine = routine_hour > 0.0 && hour <= ROUTINE * routine_hour && day <= 2.0 * ROUTINE * routine_day;
    if within_own || routine || exporter.is_known(event.time, hour, day) {
        return None;
    }
    let mut parts: Vec<(&'static str, f64)> = Vec::new();
    let mut by_day = !hour_counts;
    let (own_hour, peers_hour) = normal(exporter, groups.iter().copied(), false, windows.hour.actions > 0);
    let (own_day, peers_day) = normal(exporter, groups.iter().copied(), true, windows.day.actions > 0);
    let of_hour = if hour_counts && hour > OWN_TOP * top_hour { surprise(own_hour.tail(hour), 6.0) } else { 0.0 };
    let of_day = if day_counts && day > OWN_TOP * top_day { surprise(own_day.tail(day), 6.0) } else { 0.0 };
    by_day |= of_day > of_hour;
    let nearest = groups.iter().rev().find(|group| group.spread.total() >= LEAST_GROUP);
    let commonest = nearest.or(groups.first()).map_or(1.0, |group| group.spread.rarity(amount_of(by_day, hour, day)));
    // A habit of small things makes any larger one look impossible; what peers do on some days is not. What several of their days have reached will
    // come to anybody in time: how much his own days without it say grows with their number alone.
    let past = exporter.days.weight();
    let reached = nearest.is_some_and(|group| group.spread.reached(amount_of(by_day, hour, day)) >= REACHED);
    let beyond = match nearest {
        Some(_) if reached => (1.0 + past / DAYS_OF_PEERS).log10().min(BEYOND_PEERS),
        // Two days of lists are no habit yet.
        Some(_) => BEYOND_PEERS * (0.25 + 0.75 * (past / SETTLED).min(1.0)),
        None => BEYOND_PEERS,
    };
    let most = beyond - commonest.log10();
    // Small days and large ones make a wide spread in which nothing is improbable; the largest so far is a measure then.
    let settled = exporter.days.weight() >= SETTLED;
    let (behind, top) = match windows.day.actions {
        0 => (&exporter.days, top_day),
        _ => (&exporter.export_days, exporter.top_export_day(event.time)),
    };
    let growth = if behind.weight() >= SETTLED && top > 0.0 { (day / top).max(1.0).log2().min(GROWTH) } else { 0.0 };
    let of_amount = of_hour.max(of_day).max(growth).min(most);
    parts.push(("amount beyond own habit", of_amount));
    let usual_actions =
        groups.iter().rev().find_map(|group| group.actions.mean()).unwrap_or(ACTIONS_WHEN_NOTHING_KNOWN).max(1.0);
    let of_actions = surprise(exporter.actions.tail(windows.day.actions as f64, usual_actions), 6.0);
    parts.push(("number of exports beyond own habit", of_actions));
    // What the people file calls an integration has been let in to copy everything: its first nights are judged by a higher one.
    let declared = is_program && event.person.as_ref().is_some_and(|person| person.is_program());
    let young = exporter.days.weight() < PROGRAM_PAST;
    let ceiling_at = settings.ceiling_records_per_day * if declared && young { DECLARED } else { 1.0 };
    let ceiling = day * closing >= ceiling_at;
    let leaving = event.person.as_ref().is_some_and(|person| person.status != Status::Active);
    // Within what its own days have held, and not in more pieces: large, but no larger than itself.
    if settled && of_amount < OWN_RANGE && of_actions < MANY_ACTIONS && !ceiling {
        return None;
    }
    let excess = (hour / floors.0).max(day / floors.1);
    // Whoever takes out much as his work is measured halfway between what is much for anybody and the largest he has taken.
    // (What was reported of him is nobody's work yet.)
    let at_work = settled && !exporter.was_reported();
    let halfway = |floor: f64, top: f64| if at_work && top > floor { (floor * top).sqrt() } else { floor };
    let (from_hour, from_day) = (halfway(floors.0, top_hour), halfway(floors.1, top_day));
    // What one in ten of the peers' days reaches is no size to speak of.
    let size = (hour / from_hour).max(day / from_day).log2().max(0.0);
    let size = if nearest.is_some() { size.min(5.0).min(-2.0 * commonest.log10()) } else { UNKNOWN_SIZE * size };
    parts.push(("size above the floor", size));
    let mut add = |applies: bool, name: &'static str, points: f64| {
        if applies {
            parts.push((name, points));
        }
    };
    // Of few, to be above all is no great rarity.
    let above = nearest.filter(|group| group.spread.share_below(day) > 0.995);
    add(above.is_some(), "more than nearly all peers", if commonest < 0.005 { 2.0 } else { 1.0 });
    // In a small organisation, and in its first weeks, rank says little: nobody is one in a thousand among forty days. Ten times more than
    // anybody ever took is beyond every rank.
    let beyond_all = groups.first().is_some_and(|all| {
        all.spread.total() >= LEAST_KNOWN && all.spread.reached(amount_of(by_day, hour, day) / UNHEARD_OF) == 0
    });
    let beyond_own = amount_of(by_day, hour, day) > UNHEARD_OF * if by_day { top_day } else { top_hour };
    add(!is_program && beyond_all && beyond_own, "ten times more than anybody here before", 2.0);
    // Newness means something only against a past: in the first days everything is new.
    add(past == 0.0 && !reached && !exporter.was_reported(), "never seen to take anything out", NO_PAST);
    let fresh = fresh.min(3.0) * if past < SHORT_PAST { 0.5 } else { 1.0 };
    add(past > 0.0 && fresh > 0.0, "kinds of data or ways never used before", fresh);
    // Whoever leaves goes on working until then: his departure weighs in full against a past.
    add(leaving, "is leaving or has left", if past > 0.0 { 2.0 } else { 1.0 });
    add(!is_program && off_hours(event), "outside working hours", 1.0);
    let owner = event.text(Field::SourceAsOrg).unwrap_or_default();
    add(!is_program && Network::of_owner(owner) == Network::Hosting, "from a hosting network", 2.0);
    add(
        is_program && exporter.days.weight() >= 5.0 && exporter.hour_is_new(event.time),
        "at an hour this program never worked",
        2.0,
    );
    let score: f64 = parts.iter().map(|(_, points)| points).sum();
    // A program without a past is judged by the ceiling alone: its first night is large, like all nights to come.
    let judged = !is_program || !young;
    // In an organisation's first fortnight peers are known, and not well.
    let doubt = (1.0 - organisation_days / FORTNIGHT).clamp(0.0, 1.0);
    let unsure = if nearest.is_some() { UNSURE * doubt } else { 0.0 };
    let alert = judged && score >= settings.alert_score + unsure;
    if !alert && !ceiling {
        return None;
    }
    if ceiling {
        parts.push(("above the ceiling", day / ceiling_at));
    }
    let (own, peers) = if by_day { (own_day, peers_day) } else { (own_hour, peers_hour) };
    let amount = amount_of(by_day, hour, day) * closing;
    let far = amount >= 10.0 * own.usual_most().max(1.0);
    let severity = match (alert, ceiling) {
        (true, true) if !is_program => Severity::Critical,
        (true, true) => Severity::High,
        (true, false) if excess >= 10.0 && (far || score >= settings.alert_score + 4.0) => Severity::High,
        (false, true) if !is_program => Severity::High,
        _ => Severity::Medium,
    };
    let severity = if event.is(Field::UserInferred) { severity.min(Severity::Medium) } else { severity };
    Some(Verdict { severity, parts, by_day, amount, usual_most: own.usual_most(), usual_of_peers: peers.usual_most() })
}

fn amount_of(by_day: bool, hour: f64, day: f64) -> f64 {
    if by_day { day } else { hour }
}

/// The last two days of a month and the first two of the next, where the person works.
pub(crate) fn closing_days(event: &Event) -> bool {
    let zone = event.person.as_ref().and_then(|person| person.timezone).unwrap_or(chrono_tz::UTC);
    let Some(utc) = DateTime::from_timestamp_millis(event.time) else { return false };
    let today = utc.with_timezone(&zone).date_naive();
    let ahead = today.checked_add_days(chrono::Days::new(2)).unwrap_or(today);
    today.day() <= 2 || ahead.month() != today.month()
}

/// At night or on a weekend where the person works; unknown zones have no night.
fn off_hours(event: &Event) -> bool {
    let zone = event.person.as_ref().and_then(|person| person.timezone);
    let (Some(zone), Some(utc)) = (zone, DateTime::from_timestamp_millis(event.time)) else { return false };
    let local = utc.with_timezone(&zone);
    !(6..22).contains(&local.hour()) || local.weekday().num_days_from_monday() >= 5
}
