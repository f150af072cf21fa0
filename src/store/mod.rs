//! The index of events: schema, partitions, writer, reader, retention. Not for the query language.
