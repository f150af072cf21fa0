//! From findings to incidents to messages that arrive. Not for deciding what is a finding.
