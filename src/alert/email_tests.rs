//! The mail channel against a small server on this machine that says what a test tells it to.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use super::*;

/// Answers each command that begins with a word of the list by its answer, all others kindly; a message is answered by `message`.
/// Hands over what was said, once each connection has ended.
fn server(
    connections: usize,
    answers: &'static [(&'static str, &'static str)],
    message: &'static str,
) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (hand_over, said) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("two ends"));
            let greeting = answers.iter().find(|(word, _)| word.is_empty()).map_or("220 here", |(_, answer)| answer);
            let mut all = String::new();
            if greeting.is_empty() {
                drop(stream);
                hand_over.send(all).expect("heard");
                continue;
            }
            write!(stream, "{greeting}\r\n").expect("said");
            let mut in_message = false;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                all.push_str(&line);
                let answer = if in_message {
                    if line != ".\r\n" {
                        line.clear();
                        continue;
                    }
                    in_message = false;
                    message
                } else {
                    let special = answers.iter().find(|(word, _)| !word.is_empty() && line.starts_with(word));
                    in_message = line.starts_with("DATA");
                    special.map_or(if in_message { "354 go on" } else { "250 fine" }, |(_, answer)| answer)
                };
                line.clear();
                if answer.is_empty() {
                    break;
                }
                if write!(stream, "{answer}\r\n").is_err() {
                    break;
                }
            }
            hand_over.send(all).expect("heard");
        }
    });
    (port, said)
}

fn channel(port: u16) -> EmailChannel {
    EmailChannel::new(Email {
        security: MailSecurity::Plain,
        host: "127.0.0.1".to_owned(),
        port,
        from: "crmwatch <crmwatch@example.com>".parse().expect("an address"),
        to: vec!["a@example.com".parse().expect("an address"), "b@example.com".parse().expect("an address")],
        username_credential: None,
        password_credential: None,
        ca_file: None,
        min_severity: Severity::Medium,
        max_per_hour: 60,
    })
    .expect("settings fit")
}

fn letter() -> Letter {
    Letter {
        subject: "[HIGH] x\r\nBcc: all@example.com".to_owned(),
        text: "first\r\n.\r\nQUIT\r\n中文 body\n".to_owned(),
        html: "<p>x</p>".to_owned(),
        date: 1_772_442_847_000,
        severity: Severity::High,
        rule: "bulk-export\r\nX-Evil: 1".to_owned(),
        references: vec!["<crmwatch.17.1.x@example.com>".to_owned()],
    }
}

fn send(port: u16) -> Result<Delivery, Failure> {
    let mut channel = channel(port);
    let recipients = channel.recipients();
    channel.send("<crmwatch.17.2.x@example.com>", &letter(), &recipients)
}

#[test]
fn a_message_goes_to_all_with_its_headers_and_nothing_of_a_log_becomes_a_header_or_a_command() {
    let (port, said) = server(1, &[], "250 queued");
    let delivery = send(port).expect("sent");
    assert_eq!(delivery.accepted, ["a@example.com", "b@example.com"]);
    let said = said.recv().expect("said");
    let (commands, rest) = said.split_once("DATA\r\n").expect("a message");
    assert!(commands.contains("RCPT TO:<b@example.com>"), "{commands}");
    let (headers, _) = rest.split_once("\r\n\r\n").expect("headers");
    for header in [
        "Message-ID: <crmwatch.17.2.x@example.com>",
        "In-Reply-To: <crmwatch.17.1.x@example.com>",
        "References: <crmwatch.17.1.x@example.com>",
        "Auto-Submitted: auto-generated",
        "X-Crmwatch-Severity: high",
        "To: a@example.com, b@example.com",
        "Subject: [HIGH] x\\r\\nBcc: all@example.com",
    ] {
        assert!(headers.lines().any(|line| line == header), "{header} is not in\n{headers}");
    }
    for forged in ["Bcc:", "X-Evil:"] {
        assert!(!headers.lines().any(|line| line.starts_with(forged)), "{headers}");
    }
    assert!(rest.is_ascii() && rest.ends_with("\r\n.\r\nQUIT\r\n"), "{rest}");
    assert_eq!(rest.matches("\r\n.\r\n").count(), 1, "{rest}");
}

#[test]
fn one_refused_recipient_does_not_stop_the_others() {
    let (port, _said) = server(1, &[("RCPT TO:<a@", "550 5.1.1 no \x1b[31msuch user")], "250 queued");
    let delivery = send(port).expect("sent");
    assert_eq!(delivery.accepted, ["b@example.com"]);
    assert_eq!(delivery.refused[0].0, "a@example.com");
    assert!(delivery.refused[0].1.contains("no \\x1b[31msuch user"), "{delivery:?}");
}

#[test]
fn what_is_refused_for_now_is_told_from_what_is_refused_for_good() {
    let (port, _said) = server(1, &[("RCPT TO:<b@", "451 greylisted")], "250 queued");
    let delivery = send(port).expect("partly");
    assert_eq!((delivery.accepted.len(), delivery.later.len()), (1, 1));
    let (port, _said) = server(1, &[], "552 too big");
    assert!(matches!(send(port), Err(Failure::Never(why)) if why.contains("too big")));
    let (port, _said) = server(1, &[], "452 no room");
    assert!(matches!(send(port), Err(Failure::Later(why)) if why.contains("no room")));
    let (port, _said) = server(1, &[("MAIL", "554 not you")], "250 queued");
    assert!(matches!(send(port), Err(Failure::Never(_))));
}

#[test]
fn a_server_that_hangs_up_is_tried_once_more_and_then_later() {
    let (port, said) = server(2, &[("", "")], "250 queued");
    assert!(matches!(send(port), Err(Failure::Way(_))));
    assert_eq!(said.iter().take(2).count(), 2);
    let (port, _said) = server(1, &[], "");
    assert!(matches!(send(port), Err(Failure::Way(_))), "gone before the message was accepted");
    let (port, _said) = server(1, &[("", "421 closing")], "250 queued");
    assert!(matches!(send(port), Err(Failure::Way(_))));
}

#[test]
fn a_refused_login_gives_no_message_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "word\n").expect("written");
    let (port, said) = server(1, &[("EHLO", "250-here\r\n250 AUTH PLAIN"), ("AUTH", "535 wrong")], "250 queued");
    let mut channel = channel(port);
    let name = file.to_string_lossy().into_owned();
    channel.email.username_credential = Some(name.clone());
    channel.email.password_credential = Some(name);
    let recipients = channel.recipients();
    let result = channel.send("<x@example.com>", &letter(), &recipients);
    assert!(matches!(result, Err(Failure::Way(_))), "{result:?}");
    assert!(said.recv().expect("said").contains("AUTH PLAIN AHdvcmQAd29yZA=="));
}

#[test]
fn missing_secrets_and_certificates_are_told_with_what_to_do() {
    let mut email = channel(1).email;
    email.password_credential = Some("/nowhere/password".to_owned());
    assert!(EmailChannel::new(email.clone()).err().expect("half").to_string().contains("name both"));
    email.username_credential = Some("/nowhere/user".to_owned());
    assert!(EmailChannel::new(email.clone()).err().expect("no file").to_string().contains("/nowhere/user"));
    email.username_credential = None;
    email.password_credential = None;
    email.security = MailSecurity::Tls;
    email.ca_file = Some("/nowhere/ca.pem".into());
    assert!(EmailChannel::new(email).err().expect("no file").to_string().contains("ca_file"));
}

#[test]
fn a_server_without_starttls_gets_no_mail_in_the_clear() {
    let (port, said) = server(1, &[], "250 queued");
    let mut channel = channel(port);
    channel.email.security = MailSecurity::StartTls;
    let recipients = channel.recipients();
    assert!(matches!(channel.send("<x@example.com>", &letter(), &recipients), Err(Failure::Way(_))));
    assert!(!said.recv().expect("said").contains("MAIL FROM"));
}
