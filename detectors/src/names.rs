//! The names somebody goes by, so that what was done to `m.schmidt` is found again when `Martina.Schmidt@example.com` acts.
//! Not for deciding who a person is; enrichment does that for who acts.

use crate::entity::entity_key;
use crate::event::Event;
use crate::field::Field;

const LONGEST: usize = 160;

fn add(names: &mut Vec<String>, name: &str) {
    let name = name.trim();
    if name.is_empty() || name == "-" {
        return;
    }
    let name = name[..name.floor_char_boundary(LONGEST)].to_lowercase();
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Who acts, under every name that is known, in lower case.
pub fn of_actor(event: &Event) -> Vec<String> {
    let mut names = Vec::with_capacity(4);
    for field in [Field::UserName, Field::UserEmail, Field::UserId, Field::Person] {
        if let Some(name) = event.text(field) {
            add(&mut names, name);
        }
    }
    if let Some(person) = &event.person {
        add(&mut names, &person.user);
        if let Some((local, _)) = person.user.split_once('@') {
            add(&mut names, local);
        }
        for alias in &person.aliases {
            add(&mut names, alias);
        }
    }
    names
}

/// To whom something is done, under every name the event gives.
pub fn of_target(event: &Event) -> Vec<String> {
    let mut names = Vec::with_capacity(3);
    for field in [
        Field::UserTargetName,
        Field::UserTargetEmail,
        Field::UserTargetId,
        Field::UserEffectiveName,
        Field::UserEffectiveId,
    ] {
        if let Some(name) = event.text(field) {
            add(&mut names, name);
        }
    }
    names
}

/// To whom something is done: the one named, or whoever does it to himself.
pub fn of_target_or_actor(event: &Event) -> Vec<String> {
    let target = of_target(event);
    if target.is_empty() { of_actor(event) } else { target }
}

/// How sentences call whom an event is about.
pub fn who(event: &Event) -> String {
    let key = entity_key(event);
    let name = key.split_once(':').map_or(&*key, |(_, name)| name);
    if name.is_empty() { "somebody".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::person::Person;

    #[test]
    fn a_person_is_found_under_each_name_and_case_does_not_matter() {
        let mut event = Event::new("");
        event.set(Field::UserName, "M.Schmidt");
        event.person = Some(Arc::new(Person {
            user: "martina.schmidt@example.com".into(),
            aliases: vec!["m.schmidt".into(), "u1007".into()],
            ..Person::default()
        }));
        let names = of_actor(&event);
        assert_eq!(names, ["m.schmidt", "martina.schmidt@example.com", "martina.schmidt", "u1007"]);
        event.set(Field::UserTargetName, "Ben");
        assert_eq!(of_target_or_actor(&event), ["ben"]);
        event.remove(Field::UserTargetName);
        assert_eq!(of_target_or_actor(&event), names);
    }
}
