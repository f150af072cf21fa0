//! What is promised about whose a line without a user is.

use super::*;

const HOUR: Millis = 3_600_000;

fn line(time: Millis, address: &str, agent: &str) -> Event {
    let mut event = Event::new("");
    event.time = time;
    event.set_ip(Field::SourceIp, address.parse().expect("an address"));
    event.set(Field::EventAction, "view");
    if !agent.is_empty() {
        event.set(Field::UserAgentName, agent);
    }
    event
}

fn login(time: Millis, address: &str, agent: &str, user: &str) -> Event {
    let mut event = line(time, address, agent);
    event.set(Field::EventAction, "login");
    event.set(Field::EventOutcome, "success");
    event.set(Field::UserName, user);
    event
}

fn seen(sessions: &mut Sessions, mut event: Event) -> (Option<String>, bool) {
    sessions.enrich(&mut event, None, true);
    (event.text(Field::UserName).map(str::to_owned), event.is(Field::UserInferred))
}

fn user(name: &str) -> (Option<String>, bool) {
    (Some(name.to_owned()), true)
}

const NOBODY: (Option<String>, bool) = (None, false);

#[test]
fn a_line_is_given_the_one_who_logged_in_from_there_and_says_so() {
    let mut sessions = Sessions::new();
    seen(&mut sessions, login(0, "8.8.8.8", "Chrome", "alice"));
    assert_eq!(seen(&mut sessions, line(1, "8.8.8.8", "Chrome")), user("alice"));
    assert_eq!(seen(&mut sessions, line(1, "8.8.8.8", "")), user("alice"));
    assert_eq!(seen(&mut sessions, line(1, "8.8.8.8", "Firefox")), NOBODY);
    assert_eq!(seen(&mut sessions, line(1, "8.8.4.4", "Chrome")), NOBODY);
    assert_eq!(seen(&mut sessions, line(8 * HOUR, "8.8.8.8", "Chrome")), user("alice"));
    assert_eq!(seen(&mut sessions, line(8 * HOUR + 1, "8.8.8.8", "Chrome")), NOBODY);
    assert_eq!(seen(&mut sessions, line(-1, "8.8.8.8", "Chrome")), NOBODY);
}

#[test]
fn an_address_with_several_users_at_once_fits_nobody() {
    let mut sessions = Sessions::new();
    seen(&mut sessions, login(0, "8.8.8.8", "Chrome", "alice"));
    seen(&mut sessions, login(1, "8.8.8.8", "Chrome", "bob"));
    assert_eq!(seen(&mut sessions, line(2, "8.8.8.8", "Chrome")), NOBODY);
    seen(&mut sessions, login(3, "8.8.8.8", "Firefox", "carol"));
    assert_eq!(seen(&mut sessions, line(4, "8.8.8.8", "Firefox")), user("carol"));
    assert_eq!(seen(&mut sessions, line(4, "8.8.8.8", "")), NOBODY);
}

#[test]
fn an_office_stays_nobody_s_however_many_logins_are_remembered() {
    let mut sessions = Sessions::new();
    for number in 0..40 {
        seen(&mut sessions, login(number, "8.8.8.8", &format!("agent{number}"), &format!("user{number}")));
    }
    assert_eq!(seen(&mut sessions, line(50, "8.8.8.8", "agent39")), NOBODY);
}

#[test]
fn a_login_that_failed_counts_for_nothing() {
    let mut sessions = Sessions::new();
    let mut failed = login(0, "8.8.8.8", "Chrome", "alice");
    failed.set(Field::EventOutcome, "failure");
    failed.set(Field::SessionId, "0123456789abcdef");
    seen(&mut sessions, failed);
    let mut later = line(1, "8.8.8.8", "Chrome");
    later.set(Field::SessionId, "0123456789abcdef");
    assert_eq!(seen(&mut sessions, later), NOBODY);
}

#[test]
fn a_logout_ends_it() {
    let mut sessions = Sessions::new();
    seen(&mut sessions, login(0, "8.8.8.8", "Chrome", "Alice"));
    let mut logout = line(5, "8.8.8.8", "");
    logout.set(Field::EventAction, "logout");
    logout.set(Field::UserName, "alice");
    seen(&mut sessions, logout);
    assert_eq!(seen(&mut sessions, line(6, "8.8.8.8", "Chrome")), NOBODY);
}

#[test]
fn a_session_id_names_its_user_without_a_guess() {
    let mut sessions = Sessions::new();
    let in_session = |mut event: Event, id: &str| {
        event.set(Field::SessionId, id);
        event
    };
    seen(&mut sessions, in_session(login(0, "8.8.8.8", "Chrome", "alice"), "0123456789abcdef"));
    let there = in_session(line(1, "9.9.9.9", "curl"), "0123456789abcdef");
    assert_eq!(seen(&mut sessions, there.clone()), (Some("alice".to_owned()), false));
    let mut logout = there.clone();
    logout.set(Field::EventAction, "logout");
    assert_eq!(seen(&mut sessions, logout).0.as_deref(), Some("alice"));
    assert_eq!(seen(&mut sessions, there), NOBODY);
}

#[test]
fn short_session_ids_of_two_sources_are_two_sessions() {
    let mut sessions = Sessions::new();
    let from = |source: &str, mut event: Event| {
        event.set(Field::SessionId, "17");
        event.origin = std::sync::Arc::new(crmwatch_detectors::Origin { source: source.into(), ..Default::default() });
        event
    };
    seen(&mut sessions, from("one", login(0, "8.8.8.8", "Chrome", "alice")));
    assert_eq!(seen(&mut sessions, from("one", line(1, "9.9.9.9", ""))).0.as_deref(), Some("alice"));
    assert_eq!(seen(&mut sessions, from("two", line(1, "9.9.9.9", ""))), NOBODY);
}

#[test]
fn the_field_the_operator_names_comes_first_and_is_no_guess() {
    let mut sessions = Sessions::new();
    seen(&mut sessions, login(0, "8.8.8.8", "Chrome", "alice"));
    for (value, expected) in [(" bob ", (Some("bob".to_owned()), false)), ("-", user("alice"))] {
        let mut event = line(1, "8.8.8.8", "Chrome");
        event.set_other("http.request.header.x-user", crmwatch_detectors::Value::Text(value));
        sessions.enrich(&mut event, Some("http.request.header.x-user"), true);
        assert_eq!((event.text(Field::UserName).map(str::to_owned), event.is(Field::UserInferred)), expected);
    }
    let mut named = line(1, "8.8.8.8", "Chrome");
    named.set(Field::UserName, "carol");
    named.set_other("x", crmwatch_detectors::Value::Text("mallory"));
    sessions.enrich(&mut named, Some("x"), true);
    assert_eq!(named.text(Field::UserName), Some("carol"));
}

#[test]
fn a_login_without_a_user_and_an_app_are_given_nobody() {
    let mut sessions = Sessions::new();
    seen(&mut sessions, login(0, "8.8.8.8", "Chrome", "alice"));
    let mut failed = line(1, "8.8.8.8", "Chrome");
    failed.set(Field::EventAction, "login");
    assert_eq!(seen(&mut sessions, failed), NOBODY);
    let mut app = line(1, "8.8.8.8", "Chrome");
    app.set(Field::OauthClientId, "3MVG9");
    assert_eq!(seen(&mut sessions, app), NOBODY);
}
