//! A log falls silent while everybody works: somebody stopped it, or the machine that ships it.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::clock::{self, HOUR, MINUTE};
use crate::demo::label::Incident;
use crate::demo::logs::{LOGS, Log};
use crate::demo::scene::{Moment, Scene};

/// The ways.
pub const FAMILY: Family = &[variant("on a working day", by_day), variant("at night", by_night)];

/// Of a log that speaks at that time.
pub(in crate::demo) fn silence(scene: &mut Scene<'_>, log: &Log, hour: (f64, f64), hours: i64) -> Option<Incident> {
    let Moment::Day(day) = scene.moment else { return None };
    if clock::weekday(day) >= 5 {
        return None;
    }
    let from = scene.hour(0, hour.0, hour.1);
    let to = from + hours * HOUR;
    let overlaps = |one: &&Incident| one.silent.is_some_and(|other| other.name == log.name);
    if scene
        .company
        .incidents
        .iter()
        .filter(overlaps)
        .any(|one| one.span().0 < to + 24 * HOUR && from < one.span().1 + 24 * HOUR)
    {
        return None;
    }
    let mut incident = Incident::attack("source-silent", &["source-silent"], Severity::Medium, Vec::new());
    incident.silent = Some(*log);
    incident.span = Some((from, to));
    // Two hours in which something always came, and as long as its lines may be late.
    incident.deciding = (from.div_euclid(HOUR) + 3) * HOUR + 10 * MINUTE;
    Some(incident)
}

fn by_day(scene: &mut Scene<'_>) -> Option<Incident> {
    let log = *scene.rng.pick(&[LOGS[0], LOGS[1]]);
    silence(scene, &log, (9.0, 13.0), 5)
}

fn by_night(scene: &mut Scene<'_>) -> Option<Incident> {
    Some(silence(scene, &LOGS[0], (0.0, 3.0), 5)?.stealthy())
}
