//! Records cut anywhere end where they end when whole; characters that look like quotes and braces fool nobody.

use encoding_rs::{BIG5, GBK, SHIFT_JIS};
use proptest::prelude::*;

use super::*;

fn end(framing: Framing, bytes: &[u8]) -> Option<usize> {
    ended(framing, Units::Mixed, bytes)
}

fn ended(framing: Framing, units: Units, bytes: &[u8]) -> Option<usize> {
    match Scan::new(framing, units).on(bytes) {
        Found::End(end) => Some(end),
        _ => None,
    }
}

#[test]
fn a_record_ends_where_its_grammar_says() {
    assert_eq!(end(Framing::Lines, b"abc\ndef"), Some(3));
    assert_eq!(end(Framing::Lines, b"abc"), None);
    assert_eq!(end(Framing::QuotedCsv, b"\"a\nb\"\"c\",d\ne"), Some(10));
    assert_eq!(end(Framing::QuotedCsv, b"\"a\nb"), None);
    assert_eq!(end(Framing::Json, b"{\n\"a}\\\"\":[1,\n2]}\nx"), Some(16));
    assert_eq!(end(Framing::Json, b"{\"a\":1"), None);
    assert_eq!(end(Framing::Json, b"plain\n{"), Some(5));
    assert_eq!(end(Framing::Json, b" \n{"), Some(1));
    assert_eq!(end(Framing::Json, "\u{feff}{\n}\n".as_bytes()), Some(6));
    assert_eq!(end(Framing::Json, b"{\"a\":\"\\"), None);
    assert_eq!(end(Framing::Json, b"{} {\n"), Some(4));
}

#[test]
fn what_is_nested_deeper_than_a_value_can_be_is_no_record_of_many_lines() {
    assert_eq!(Scan::new(Framing::Json, Units::Mixed).on("[\n".repeat(DEPTH + 1).as_bytes()), Found::Never);
    assert_eq!(Scan::new(Framing::Json, Units::Mixed).on("[\n".repeat(DEPTH).as_bytes()), Found::Open);
}

/// A record of lines in which every character of the list ends in a byte that looks like a quote's escape or a brace.
fn tricky(characters: &str) -> String {
    characters.chars().map(|one| format!("{{\n\"a{one}\":\"b{one}\",\n\"{one}\":[\"{one}\"]}}\n")).collect()
}

#[test]
fn characters_whose_second_byte_is_a_backslash_or_a_brace_neither_escape_a_quote_nor_close_a_record() {
    let cases = [
        // 5C, 5B, 5D, 7B, 7D as second bytes.
        (GBK, Units::Double, "俓俒俔倇倉誠"),
        (GBK, Units::Mixed, "俓俒俔倇倉誠"),
        (BIG5, Units::Double, "功許蓋擺世"),
        (SHIFT_JIS, Units::ShiftJis, "表ソ能十ポ"),
    ];
    for (encoding, units, characters) in cases {
        let text = tricky(characters);
        let (bytes, _, wrong) = encoding.encode(&text);
        assert!(!wrong, "{characters} is not in {}", encoding.name());
        assert!(bytes.windows(2).any(|pair| pair[0] >= 0x80 && pair[1] == b'\\'), "{} fools nobody", encoding.name());
        let mut rest = &*bytes;
        for _ in characters.chars() {
            let end = ended(Framing::Json, units, rest).expect("it ends");
            let (record, _) = encoding.decode_without_bom_handling(&rest[..end]);
            assert!(record.starts_with('{') && record.ends_with("]}"), "{record:?} in {}", encoding.name());
            rest = &rest[end + 1..];
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn utf_8_is_never_taken_for_an_encoding_of_two_bytes() {
    let text = tricky("张é€𝄞ñ\u{7ff}\u{800}\u{ffff}\u{10ffff}") + "{\"n\":\"张\\\"\\\\\",\n\"b\":1}\n";
    let mut rest = text.as_bytes();
    let mut records = 0;
    while !rest.is_empty() {
        let end = end(Framing::Json, rest).expect("it ends");
        assert!(rest[..end].starts_with(b"{") && rest[..end].ends_with(b"}"));
        rest = &rest[end + 1..];
        records += 1;
    }
    assert_eq!(records, 9 + 1);
}

proptest! {
    /// The same bytes, given in pieces, end in the same place; and none is looked at twice.
    #[test]
    fn where_a_record_ends_does_not_depend_on_how_its_bytes_arrive(
        units in prop_oneof![Just(Units::Mixed), Just(Units::Single), Just(Units::Double), Just(Units::ShiftJis), Just(Units::Utf16Le), Just(Units::Utf16Be)],
        framing in prop_oneof![Just(Framing::Lines), Just(Framing::QuotedCsv), Just(Framing::Json)],
        parts in proptest::collection::vec(prop_oneof![
            3 => proptest::sample::select(vec![&b"{"[..], b"}", b"[", b"]", b"\"", b"\\", b"\n", b"\r\n", b"\0", b"a", b",", "张".as_bytes(), b"\xd5\x5c", b"\x5c", b"\xe2", b"\x0a\x0a"]),
        ], 0..40),
        cuts in proptest::collection::vec(1usize..6, 1..40),
    ) {
        let bytes: Vec<u8> = parts.concat();
        let whole = Scan::new(framing, units).on(&bytes);
        let mut scan = Scan::new(framing, units);
        let mut found = Found::Open;
        let mut given = 0;
        for cut in cuts.iter().cycle() {
            given = (given + cut).min(bytes.len());
            found = scan.on(&bytes[scan.seen()..given]);
            if found != Found::Open || given == bytes.len() {
                break;
            }
        }
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn utf_8_is_told_from_what_is_none_as_the_standard_library_does(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut utf8 = Utf8::new();
        bytes.iter().for_each(|byte| utf8.step(*byte));
        prop_assert_eq!(!utf8.is_broken() && utf8.left == 0, std::str::from_utf8(&bytes).is_ok());
    }
}
