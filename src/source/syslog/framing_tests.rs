//! What is promised of framing.

use proptest::prelude::*;

use super::*;

type Told = Vec<(Vec<u8>, u64, bool)>;

/// The frames of bytes that come in reads of these lengths, the last one with what is left; then the connection ends.
fn frames(bytes: &[u8], reads: &[usize], longest: usize) -> Told {
    let mut deframer = Deframer::new(longest);
    let mut told = Vec::new();
    let mut give = |frame: Frame<'_>| told.push((frame.message.to_vec(), frame.cut, frame.partial));
    let mut rest = bytes;
    for read in reads {
        let (now, later) = rest.split_at((*read).min(rest.len()));
        deframer.push(now, &mut give);
        rest = later;
    }
    deframer.push(rest, &mut give);
    deframer.finish(&mut give);
    told
}

fn messages(bytes: &[u8]) -> Vec<String> {
    let told = frames(bytes, &[], 1000);
    told.iter().map(|(message, ..)| String::from_utf8_lossy(message).into_owned()).collect()
}

#[test]
fn counts_and_trailers_are_told_apart_message_by_message() {
    assert_eq!(messages(b"7 <13>one8 <13>\ntwo<13>three\n7 <13>end"), ["<13>one", "<13>\ntwo", "<13>three", "<13>end"]);
    assert_eq!(messages(b"<13>one\r\n<13>two\0<13>three\n"), ["<13>one", "<13>two", "<13>three"]);
}

#[test]
fn a_counted_message_with_a_newline_behind_is_no_two_messages() {
    assert_eq!(messages(b"8 <13>one\n\n8 <13>two\n\n"), ["<13>one", "<13>two"]);
}

#[test]
fn a_message_without_priority_may_begin_with_a_digit() {
    assert_eq!(messages(b"203.0.113.7 - - [x]\n12 monkeys\n<13>x\n"), ["203.0.113.7 - - [x]", "12 monkeys", "<13>x"]);
    assert_eq!(messages(b"12345678901 digits\n"), ["12345678901 digits"]);
}

#[test]
fn a_wrong_count_spoils_one_message_and_the_next_are_whole() {
    // Too small: what is left of the line is a message of its own.
    assert_eq!(messages(b"5 <13>one\n7 <13>two"), ["<13>o", "ne", "<13>two"]);
    // Too large: it takes some of the next one, whose rest ends at its newline.
    assert_eq!(messages(b"12 <13>one\n7 <13>two\n7 <13>end"), ["<13>one\n7 <1", "3>two", "<13>end"]);
}

#[test]
fn what_is_beyond_the_longest_is_counted_and_not_kept() {
    assert_eq!(
        frames(b"12 <13>abcdefgh<1>x\n", &[], 6),
        [(b"<13>ab".to_vec(), 6, false), (b"<1>x".to_vec(), 0, false)]
    );
    assert_eq!(
        frames(b"<13>abcdefgh\n<1>x\n", &[7, 2], 6),
        [(b"<13>ab".to_vec(), 6, false), (b"<1>x".to_vec(), 0, false)]
    );
    let mut deframer = Deframer::new(100);
    deframer.push(b"4000000000 <13>", |_| panic!("not complete"));
    for _ in 0..1000 {
        deframer.push(&[b'a'; 1000], |_| panic!("not complete"));
        assert!(deframer.held() <= 1024);
    }
    let mut told = None;
    deframer.finish(|frame| told = Some((frame.message.len(), frame.cut, frame.partial)));
    assert_eq!(told, Some((100, 1_000_004 - 100, true)));
}

#[test]
fn a_connection_that_ends_within_a_message_keeps_what_came() {
    assert_eq!(frames(b"20 <13>one", &[], 100), [(b"<13>one".to_vec(), 0, true)]);
    assert_eq!(frames(b"<13>a\n<13>b", &[], 100), [(b"<13>a".to_vec(), 0, false), (b"<13>b".to_vec(), 0, true)]);
    assert_eq!(frames(b"<13>a\n\n", &[], 100).len(), 1);
}

#[test]
fn a_connection_at_rest_holds_no_memory() {
    let mut deframer = Deframer::new(1 << 20);
    deframer.push(&[b"<13>".to_vec(), vec![b'x'; 500_000]].concat(), |_| {});
    deframer.push(b"\n", |_| {});
    assert_eq!(deframer.held(), 0);
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_into_reads_the_frames_are_the_same(
        pieces in proptest::collection::vec(r"(?-u)[0-9]{0,3}[ ]?(<13>)?[a-c\n\r\x00 <0-9]{0,12}\n?", 0..12),
        reads in proptest::collection::vec(1usize..9, 0..60),
        longest in 1usize..40,
    ) {
        let bytes = pieces.concat().into_bytes();
        let whole = frames(&bytes, &[], longest);
        prop_assert_eq!(&frames(&bytes, &reads, longest), &whole);
        prop_assert_eq!(&frames(&bytes, &vec![1; bytes.len()], longest), &whole);
        for (message, cut, _) in &whole {
            prop_assert!(!message.is_empty() && message.len() <= longest);
            prop_assert!(*cut == 0 || message.len() == longest);
        }
    }

    #[test]
    fn what_a_sender_frames_comes_out_as_it_went_in(
        sent in proptest::collection::vec((proptest::bool::ANY, r"<1[0-9]{0,2}>[a-z \n0-9]{0,30}[a-z]"), 0..20),
        reads in proptest::collection::vec(1usize..40, 0..40),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (counted, message) in &sent {
            let message = if *counted { message.clone() } else { message.replace('\n', " ") };
            bytes.extend(if *counted { format!("{} {message}", message.len()) } else { format!("{message}\n") }.into_bytes());
            expected.push((message.into_bytes(), 0, false));
        }
        prop_assert_eq!(frames(&bytes, &reads, 1000), expected);
    }
}
