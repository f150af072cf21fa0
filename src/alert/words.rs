//! The fixed words of mails, in the languages the program speaks. Not for what detectors say: they bring both languages with them.

use crmwatch_detectors::Severity;

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// Fixed words in one language. `{}` stands for what is filled in.
        pub(super) struct Words { $(pub $name: &'static str,)* }
        const EN: Words = Words { $($name: $en,)* };
        const ZH: Words = Words { $($name: $zh,)* };
    };
}

words! {
    subject: "[{}] {} (incident {})", "[{}] {}（事件 {}）";
    low: "LOW", "低";
    medium: "MEDIUM", "中";
    high: "HIGH", "高";
    critical: "CRITICAL", "严重";
    happened: "What happened", "发生了什么";
    update: "Update {} on incident {}: {}.", "事件 {1} 的第 {0} 次更新：{2}。";
    worse: "it is now {}, it was {}", "级别由 {1} 升为 {0}";
    joined: "new: {}", "新增：{}";
    goes_on: "It goes on from incident {}, which is closed.", "这是已关闭事件 {} 的延续。";
    from_to: "From {} to {}.", "时间：{} 至 {}。";
    observed: "Observed", "观测值";
    expected: "Expected", "正常值";
    window: "Window", "时间窗";
    technique: "ATT&CK", "ATT&CK";
    score: "Score", "评分";
    evidence: "Evidence", "证据";
    events: "{} events", "{} 条记录";
    more_lines: "… and {} more", "……另有 {} 条";
    no_lines: "The lines are not in the index (yet).", "索引中（尚）无原始日志行。";
    more_findings: "And {} more findings in this incident.", "该事件中另有 {} 项发现。";
    who: "Who and from where", "涉及对象";
    more_values: "… and {} more", "……另有 {} 个";
    earlier: "Earlier incidents of the same", "同一对象此前的事件";
    none_earlier: "None.", "无。";
    check: "What to check", "核查步骤";
    false_positives: "When it is harmless", "可能的误报";
    go_on: "To go on", "后续操作";
    all_of_it: "Everything about it", "查看全部";
    same_time: "What else happened then", "同期其他记录";
    settle: "When you know", "得出结论后";
    why: "Why you get this mail", "为何收到此邮件";
    why_text: "Incident {} reached {}; the configuration wants a mail for that ([email] min_severity). You will hear of it again only if it becomes worse or another rule joins, at the earliest after {} min. `crmwatch alerts ack {}` says that you are on it; closing it stops what is still waiting to be sent.",
        "事件 {} 的级别为{}，达到配置的邮件级别（[email] min_severity）。仅当级别升高或有新规则加入时才会再次通知，间隔至少 {} 分钟。执行 `crmwatch alerts ack {}` 表示已有人处理；关闭事件后，尚未发送的邮件将取消。";
    historic_subject: "[crmwatch] {} old findings in the logs read now", "[crmwatch] 新读入的日志中有 {} 项旧发现";
    historic_text: "While reading logs, crmwatch found {} things that happened more than {} before they were read. They are recorded and can be searched, but they woke nobody.",
        "读取日志时发现 {} 项早于读取时间 {} 以上的情况。它们已记录并可检索，但未触发告警。";
    hours: "{} h", "{} 小时";
    by_rule: "By rule and severity", "按规则与级别";
    worst: "The worst of them", "最严重的若干项";
    why_historic: "This is the one summary of old findings ([alerts] max_age). To be told of them one by one, look at them with the command above.",
        "这是对旧发现的汇总（[alerts] max_age）。如需逐项查看，请使用上述命令。";
    limited_subject: "[{}] {} more incidents beyond the hourly limit", "[{}] 另有 {} 起事件超出每小时邮件上限";
    limited_text: "{} more incidents would each have been a mail, but the limit of mails an hour ([email] max_per_hour) was reached. They are open:",
        "另有 {} 起事件因达到每小时邮件上限（[email] max_per_hour）未单独发送。它们仍处于打开状态：";
    more_incidents: "… and {} more incidents.", "……另有 {} 起事件。";
    incident: "Incident {}", "事件 {}";
    open: "open", "打开";
    acknowledged: "acknowledged", "处理中";
    closed: "closed", "已关闭";
    true_positive: "it was an attack", "确为攻击";
    benign: "it was allowed", "属正常行为";
    false_positive: "false alarm", "误报";
    undetermined: "undetermined", "未能确定";
}

impl Words {
    /// The words of a locale.
    pub(super) fn of(locale: &str) -> &'static Words {
        if locale.starts_with("zh") { &ZH } else { &EN }
    }

    pub(super) fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }
}

/// Puts values into a phrase: `{}` takes the next one, `{1}` a certain one. A value is never looked into for further places.
pub(super) fn fill(phrase: &str, values: &[&str]) -> String {
    let mut filled = String::new();
    let mut next = values.iter();
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((place, after)) = after.split_once('}') else { break };
        let value = match place.parse::<usize>() {
            Ok(number) => values.get(number),
            Err(_) => next.next(),
        };
        filled.push_str(value.copied().unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_read_as_a_phrase() {
        assert_eq!(fill("{} and {}", &["{}", "b"]), "{} and b");
        assert_eq!(fill("{1} before {0}", &["a", "b"]), "b before a");
    }
}
