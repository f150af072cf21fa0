//! The query language: grammar, tree, evaluation on one event. Not for the index.
//!
//! `user.name:alice AND event.action:export AND crm.records:>=500`. Text becomes a [`tree`], the tree bound to a time becomes a
//! [`Filter`], and that is what the index compiles and what memory evaluates: one meaning everywhere.

mod error;
mod evaluate;
pub mod filter;
mod grammar;
mod moment;
pub mod target;
pub mod tree;
pub mod value;
pub mod wildcard;
pub mod words;

use std::fmt;

use crmwatch_detectors::{Event, Millis};

pub use error::QueryError;
pub use filter::Filter;
pub use tree::Node;

/// A query that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Its tree.
    pub node: Node,
    /// What is allowed but perhaps not meant.
    pub hints: Vec<Hint>,
}

/// A remark on a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Where, in characters, from 0.
    pub position: usize,
    /// What.
    pub message: String,
}

impl Query {
    /// Reads a query. Nothing written means everything.
    pub fn parse(text: &str) -> Result<Query, QueryError> {
        let position = |byte: usize| text[..text.floor_char_boundary(byte)].chars().count();
        match grammar::parse(text) {
            Ok((node, doubts)) => {
                let hint = |(left, name, near): grammar::Doubt| Hint {
                    position: position(text.len() - left),
                    message: format!("no event field is called {name} unless a log names it so; did you mean {near}?"),
                };
                Ok(Query { node, hints: doubts.into_iter().map(hint).collect() })
            }
            Err((byte, mistake)) => Err(QueryError {
                query: text.to_owned(),
                position: position(byte),
                message: mistake.message,
                mend: mistake.mend,
            }),
        }
    }

    /// Its meaning at that time.
    pub fn filter(&self, now: Millis) -> Result<Filter, QueryError> {
        filter::bind(&self.node, now).map_err(|mistake| QueryError {
            query: self.to_string(),
            position: 0,
            message: mistake.message,
            mend: mistake.mend,
        })
    }

    /// Whether one event matches. For many events make the [`Filter`] once.
    pub fn matches(&self, event: &Event, now: Millis) -> bool {
        self.filter(now).is_ok_and(|filter| filter.matches(event))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use crmwatch_detectors::Field;

    use super::*;

    fn event() -> Event {
        let mut event = Event::new("用户 alice 导出了客户 GET /crm/export?id=42 status=200");
        event.time = 1_772_442_847_005;
        event.set(Field::UserName, "Alice");
        event.set(Field::EventAction, "export");
        event.set_integer(Field::Records, 500);
        event.set(Field::UrlPath, "/crm/Export");
        event.set_ip(Field::SourceIp, "10.1.2.3".parse().expect("an address"));
        event.set_other("tenant", Value::Text("North"));
        event.set_other("score", Value::Float(4.5));
        event
    }

    use crmwatch_detectors::Value;

    fn matches(query: &str) -> bool {
        let event = event();
        Query::parse(query).unwrap_or_else(|error| panic!("{error}")).matches(&event, event.time + 1_000)
    }

    fn mistake(query: &str) -> QueryError {
        Query::parse(query).expect_err(query)
    }

    #[test]
    fn what_analysts_write_finds_what_they_mean() {
        for query in [
            "",
            "*",
            "alice",
            "ALICE",
            "user.name:alice",
            "user.name:al*",
            "user.name:?lice",
            "user.name:(bob OR alice)",
            "user.name:alice AND event.action:export AND crm.records:>=500",
            "crm.records >= 500",
            "crm.records:>499.5",
            "crm.records:[1 TO 500]",
            "crm.records:{499 TO *]",
            "source.ip:10.0.0.0/8",
            "source.ip:[10.0.0.0 TO 10.255.255.255]",
            "url.path:/crm/*",
            "\"/crm/export\"",
            "user.name:*",
            "NOT user.name:bob",
            "-bob",
            "!bob",
            "not bob",
            "alice export",
            "bob or alice",
            "bob || alice",
            "alice && export",
            "@timestamp:[now-24h TO now]",
            "@timestamp:>=2026-03-02",
            "@timestamp:2026-03-02T09:14:07Z",
            "tenant:north",
            "score:>4",
            "导",
            "导出",
            "导出了客户",
            "客户",
            "(alice (export))",
            "exp*",
            "/crm/*",
            "user.name:\"alice\"",
            "event.original:alice",
            "NOT (bob AND alice)",
            "source.ip:10.1.2.3",
        ] {
            assert!(matches(query), "{query}");
        }
        for query in [
            "bob",
            "user.name:lice",
            "crm.records:{500 TO *}",
            "crm.records:<500",
            "source.ip:11.0.0.0/8",
            "source.ip:::/0",
            "url.path:/crm/export",
            "-alice",
            "\"export crm\"",
            "@timestamp:<now-1h",
            "user.email:*",
            "出导",
            "score:[* TO 4]",
            "alice AND NOT export",
            "tenant:(south OR east)",
        ] {
            assert!(!matches(query), "{query}");
        }
    }

    #[test]
    fn a_mistake_says_where_it_is_and_what_would_work() {
        for (query, position, mend) in [
            ("user.name:alice AND", 19, "write a word"),
            ("(alice", 0, "add )"),
            ("alice)", 5, "remove it"),
            ("导出 \"alice", 3, "add \""),
            ("crm.records:[1 2]", 12, "[a TO b]"),
            ("crm.records:many", 12, "a whole number"),
            ("source.ip:10.*", 10, "10.0.0.0/8"),
            ("@timestamp:yesterday", 11, "now-24h"),
            ("user.name:", 10, "field:*"),
            ("OR alice", 0, "in quotes"),
            ("crm.duplicate:maybe", 14, "true"),
            ("[a TO b]", 0, "search it for words"),
            ("alice | bob", 6, "in quotes"),
            ("_id:12", 4, "32 hex digits"),
        ] {
            let error = mistake(query);
            assert_eq!(error.position, position, "{error}");
            assert!(error.mend.contains(mend), "{error}");
        }
        let hints = Query::parse("alice user.nmae:bob").expect("allowed").hints;
        assert_eq!((hints.len(), hints[0].position), (1, 6));
        assert!(hints[0].message.ends_with("did you mean user.name?"), "{}", hints[0].message);
        assert!(Query::parse("tenant_of_mine:bob").expect("allowed").hints.is_empty());
    }

    #[test]
    fn hostile_queries_are_refused_before_they_cost_anything() {
        assert!(mistake(&"a".repeat(5_000)).message.contains("longer"));
        assert!(mistake(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).message.contains("levels"));
        assert!(mistake(&format!("{}a", "NOT ".repeat(900))).message.contains("levels"));
        assert!(mistake(&format!("{}a", "-".repeat(4_000))).message.contains("levels"));
        assert!(mistake(&"a ".repeat(501)).message.contains("tests"));
        assert!(mistake("a*b*c*d*e*f*g*h*i*j*").message.contains("stars"));
        assert!(mistake("*a *b *c *d *e").message.contains("start with a wildcard"));
        assert!(mistake(&"a* ".repeat(33)).message.contains("patterns"));
    }

    #[test]
    fn a_mistake_is_shown_without_what_a_terminal_obeys() {
        let shown = mistake("alice \u{1b}[31m").to_string();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_what_parses_prints_to_the_same(text in "[ a-c导0-9:.*?()\\[\\]{}\"<>=/\\\\!-]{0,24}|.{0,24}") {
            if let Ok(query) = Query::parse(&text) {
                let printed = query.to_string();
                let again = Query::parse(&printed);
                proptest::prop_assert_eq!(again.map(|query| query.node), Ok(query.node), "{} printed as {}", text, printed);
            }
        }
    }
}
