//! What is promised of headers: each line below is written after what a sender is known to write.

use super::*;

/// 2026-03-02T09:14:07Z
const MOMENT: Millis = 1_772_442_847_000;
const MARCH: Stamp = Stamp::Yearless(3, 2, 33_247_000);

fn told(line: &str) -> Header<'_> {
    header(line, Tz::UTC).unwrap_or_else(|| panic!("{line}"))
}

/// Stamp, host, program, process, message.
fn parts(line: &str) -> (Option<Stamp>, &str, &str, &str, &str) {
    let header = told(line);
    (header.stamp, header.host, header.program, header.process, header.message)
}

#[test]
fn rfc_3164_is_read_with_whatever_is_missing() {
    let full = (Some(MARCH), "crm", "nginx", "7", "hello");
    assert_eq!(parts("<190>Mar  2 09:14:07 crm nginx[7]: hello"), full);
    assert_eq!(parts("Mar  2 09:14:07 crm nginx[7]: hello"), full);
    assert_eq!(told("<190>Mar  2 09:14:07 crm nginx[7]: hello").priority, Some(190));
    assert_eq!(parts("<190>Mar 02 09:14:07 crm nginx: hello"), (Some(MARCH), "crm", "nginx", "", "hello"));
    assert_eq!(parts("<190>Mar  2 09:14:07 nginx: hello"), (Some(MARCH), "", "nginx", "", "hello"));
    assert_eq!(
        parts("<190>Mar  2 09:14:07 203.0.113.7 hello there"),
        (Some(MARCH), "203.0.113.7", "", "", "hello there")
    );
    assert_eq!(parts("<190>Mar  2 09:14:07 crm nginx[7] hello"), full);
    assert_eq!(parts("Mar  2 09:14:07 [sshd]: hello"), (Some(MARCH), "", "sshd", "", "hello"));
    assert_eq!(parts("<190>nginx[7]: hello"), (None, "", "nginx", "7", "hello"));
    assert_eq!(parts("<13>hello there"), (None, "", "", "", "hello there"));
    assert_eq!(parts("<13>Mar  2 09:14:07 crm app:"), (Some(MARCH), "crm", "app", "", ""));
}

#[test]
fn names_of_programs_may_hold_more_than_letters() {
    for (written, program, process) in [
        ("sshd(pam_unix)[19939]: x", "sshd(pam_unix)", "19939"),
        ("postfix/smtpd[5]: x", "postfix/smtpd", "5"),
        ("docker-compose_web.1[5]: x", "docker-compose_web.1", "5"),
        ("kernel[0]: x", "kernel", "0"),
        ("app[main]: x", "app", "main"),
        ("应用: x", "应用", ""),
    ] {
        let line = format!("Mar  2 09:14:07 crm {written}");
        assert_eq!(parts(&line), (Some(MARCH), "crm", program, process, "x"));
    }
}

#[test]
fn a_message_that_only_looks_like_a_name_stays_whole() {
    for message in [
        "2026-03-02 09:14:07,123 7 INFO db odoo.http: x",
        "crm.example.com:443 203.0.113.7 - - [x]",
        "10:20:30 x",
        "{\"a\": 1}",
        "key=value: x",
        "CEF:0|Vendor|Product|1|2|3|4|src=203.0.113.7",
        "CEF: 0|Vendor|Product|1|2|3|4|src=203.0.113.7",
        "LEEF:1.0|Vendor|Product|1|2|",
        "Odoo Server 14.0:db:INFO:logger:x",
        "[x][y][z] x",
    ] {
        let line = format!("<13>Mar  2 09:14:07 crm {message}");
        assert_eq!(parts(&line), (Some(MARCH), "crm", "", "", message));
    }
    assert_eq!(parts("<13>Mar  2 09:14:07 CEF:0|a|b"), (Some(MARCH), "", "", "", "CEF:0|a|b"));
}

#[test]
fn stamps_are_read_as_senders_write_them() {
    let full = Some(Stamp::Full(MOMENT));
    for (written, stamp) in [
        ("Mar  2 09:14:07", Some(MARCH)),
        ("Mar 2 09:14:07", Some(MARCH)),
        ("Mar  2 09:14:07.250", Some(Stamp::Yearless(3, 2, 33_247_250))),
        ("Mar  2 2026 09:14:07", full),
        ("Mar  2 09:14:07 2026", full),
        ("2026-03-02T09:14:07Z", full),
        ("2026-03-02T10:14:07.000000+01:00", full),
        ("mars  2 09:14:07", Some(MARCH)),
        ("Mär  2 09:14:07", Some(MARCH)),
        ("März  2 09:14:07", Some(MARCH)),
        ("août 19 09:14:07", Some(Stamp::Yearless(8, 19, 33_247_000))),
        ("3月  2 09:14:07", Some(MARCH)),
    ] {
        let line = format!("{written} crm nginx[7]: hello");
        assert_eq!(parts(&line), (stamp, "crm", "nginx", "7", "hello"), "{line}");
        let line = format!("<13>{line}");
        assert_eq!(parts(&line), (stamp, "crm", "nginx", "7", "hello"), "{line}");
    }
}

#[test]
fn cisco_writes_in_its_own_way() {
    let link = "%LINK-3-UPDOWN";
    for line in
        ["<189>4711: *Mar  2 09:14:07: %LINK-3-UPDOWN: down", "<189>4711: Mar  2 09:14:07 UTC: %LINK-3-UPDOWN: down"]
    {
        assert_eq!(parts(line), (Some(MARCH), "", link, "", "down"), "{line}");
    }
    let asa = (Some(Stamp::Full(MOMENT)), "fw01", "%ASA-6-302013", "", "Built");
    assert_eq!(parts("<166>Mar 02 2026 09:14:07 fw01 : %ASA-6-302013: Built"), asa);
    assert_eq!(parts("<166>Mar 02 2026 09:14:07 fw01: %ASA-6-302013: Built"), asa);
    assert_eq!(parts("<166>%ASA-6-302013: Built"), (None, "", "%ASA-6-302013", "", "Built"));
}

#[test]
fn rfc_5424_is_read_with_its_nil_values() {
    let header = told("<165>1 2026-03-02T09:14:07.123456789Z crm app 8710 ID47 [x@1 a=\"b\"][y@1] \u{feff}hello");
    assert_eq!((header.stamp, header.host), (Some(Stamp::Full(MOMENT + 123)), "crm"));
    assert_eq!((header.program, header.process, header.message_id), ("app", "8710", "ID47"));
    assert_eq!((header.data, header.message), ("[x@1 a=\"b\"][y@1]", "hello"));
    assert_eq!(parts("<165>1 - - - - - - hello"), (None, "", "", "", "hello"));
    assert_eq!(parts("<165>1 - - - - - -"), (None, "", "", "", ""));
    assert_eq!(parts("<165>1 2026-03-02T09:14:07Z crm app - - [x@1 a=\"b\"]").4, "");
}

#[test]
fn structured_data_of_lax_senders_is_taken_and_what_is_none_is_left() {
    let data = |line: &'static str| {
        let header = told(line);
        (header.data, header.message)
    };
    assert_eq!(
        data("<38>1 2026-03-02T09:14:07Z h sshd 4 - [meta sequenceId=\"32\"] Invalid"),
        ("[meta sequenceId=\"32\"]", "Invalid")
    );
    assert_eq!(data("<38>1 2026-03-02T09:14:07Z h a 4 - [x a=\"]\\\"\"] m"), ("[x a=\"]\\\"\"]", "m"));
    assert_eq!(data("<38>1 2026-03-02T09:14:07Z h a 4 - [x a=\"b\"]{\"c\":1}"), ("[x a=\"b\"]", "{\"c\":1}"));
    assert_eq!(data("<38>1 2026-03-02T09:14:07Z h a 4 - [x a=\"b m"), ("", "[x a=\"b m"));
    assert_eq!(data("<38>1 2026-03-02T09:14:07Z h a 4 - no data"), ("", "no data"));
    let mut told = Vec::new();
    parameters("[x@1 a=\"b \\] c\" d=\"\"][y e=\"f\"][z]", |element, name, value| {
        told.push(format!("{element}/{name}/{value}"));
    });
    assert_eq!(told, ["x@1/a/b \\] c", "x@1/d/", "y/e/f"]);
}

#[test]
fn what_began_like_rfc_5424_and_is_none_is_still_read() {
    assert_eq!(parts("<13>1 message in the queue"), (None, "", "", "", "1 message in the queue"));
    assert_eq!(parts("<134>1 2026-03-02T09:14:07Z fw CEF:0|a|b").4, "CEF:0|a|b");
}

#[test]
fn the_host_may_be_missing_where_a_program_with_its_number_or_a_format_follows() {
    let stamp = "2026-03-02T09:14:07.250Z";
    for (rest, program, process, message) in [
        ("heroku[router]: at=info", "heroku", "router", "at=info"),
        ("app[web.1]: a=b", "app", "web.1", "a=b"),
        ("CEF:0|a|b", "", "", "CEF:0|a|b"),
    ] {
        let line = format!("{stamp} {rest}");
        let header = header(&line, Tz::UTC).expect("a header");
        assert_eq!((header.host, header.program, header.process, header.message), ("", program, process, message));
    }
    // A program's own stamp, as it may be.
    assert_eq!(header("2026-03-02T09:14:07Z app: message", Tz::UTC), None);
}

#[test]
fn of_relayed_messages_the_first_senders_header_counts() {
    let full = (Some(MARCH), "crm", "nginx", "7", "hello");
    assert_eq!(parts("<13>Mar  2 09:15:00 relay Mar  2 09:14:07 crm nginx[7]: hello"), full);
    assert_eq!(parts("<13>Mar  2 09:15:00 relay <190>Mar  2 09:14:07 crm nginx[7]: hello"), full);
    assert_eq!(told("<13>Mar  2 09:15:00 relay <190>Mar  2 09:14:07 crm nginx[7]: hello").priority, Some(190));
    // What a program says is its own.
    let forged = "<13>Mar  2 09:15:00 crm app: <190>Mar  2 09:14:07 other nginx[7]: hello";
    assert_eq!(parts(forged).1, "crm");
}

#[test]
fn lines_of_other_formats_have_no_header() {
    for line in [
        "",
        "<",
        "<192>Mar  2 09:14:07 a b: c",
        "<>x",
        "<+1>x",
        "<1x",
        "Foo 5 03:04:05 a b: c",
        "Mar  2 9:4:7 a b: c",
        "Mar 日本語日本",
        "Mar  2",
        "2026-03-02 09:14:07,123 7 INFO db odoo.http: x",
        "2026-03-02T09:14:07Z INFO started",
        "2026-03-02T09:14:07.123Z [7][1][FATAL] x",
        "203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] \"GET / HTTP/1.1\" 200 5",
        "Mon Mar  2 09:14:07 2026 [7][1][FATAL] x",
        "Dec  5 03:04:05 2026 [7][1][FATAL] x",
        "{\"time\":\"2026-03-02T09:14:07Z\"}",
        "EVENT_TYPE,TIMESTAMP",
    ] {
        assert_eq!(header(line, Tz::UTC), None, "{line}");
    }
}

#[test]
fn the_year_of_a_header_without_one_goes_on_at_new_year() {
    let mut clock = YearClock::new(2025);
    let mut at = |month, day| Stamp::Yearless(month, day, 0).moment(&mut clock, Tz::UTC);
    assert_eq!(at(12, 31), Some(1_767_139_200_000));
    assert_eq!(at(1, 1), Some(1_767_225_600_000));
}

proptest::proptest! {
    #[test]
    fn no_line_makes_it_panic_and_every_part_is_of_the_line(
        line in r#"(<[0-9]{0,3}>)?(1 )?((Mar|août|3月|2026-03-02T)[ 0-9:.TZ]{0,12})?([a-z:\[\]%. "=\\é月-]|<13>){0,40}"#,
    ) {
        if let Some(found) = header(&line, Tz::Asia__Shanghai) {
            for part in [found.host, found.program, found.process, found.message_id, found.data, found.message] {
                proptest::prop_assert!(line.contains(part));
            }
            parameters(found.data, |_, _, _| {});
        }
    }
}
