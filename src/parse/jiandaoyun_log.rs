//! Jiandaoyun's enterprise operation log, exported as a sheet with Chinese headings; also such logs of other Chinese products.
//! Not for its data pushes (`jiandaoyun`).

use chrono_tz::Tz;
use crmwatch_detectors::Field;

use super::sheet::{self, Column, Sheet};
use super::{Format, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: SHEET.name,
    about: "Jiandaoyun (简道云) operation log and other exports with Chinese headings, CSV",
    sniff: |record| if record.is_ascii() { 0 } else { sheet::sniff(&SHEET, record, 92) },
    grammar: |options| sheet::grammar(&SHEET, options),
};

static SHEET: Sheet = Sheet {
    name: "jiandaoyun-log",
    provider: "jiandaoyun",
    headings: &[
        ("操作时间", Column::Time),
        ("登录时间", Column::Time),
        ("发生时间", Column::Time),
        ("时间", Column::Time),
        ("日期", Column::Time),
        ("操作人账号", Column::User),
        ("账号", Column::User),
        ("用户名", Column::User),
        ("操作人", Column::User),
        ("操作者", Column::User),
        ("操作用户", Column::User),
        ("成员", Column::User),
        ("用户", Column::User),
        ("姓名", Column::Text(Field::UserFullName)),
        ("操作类型", Column::Action),
        ("事件类型", Column::Action),
        ("操作", Column::Action),
        ("动作", Column::Action),
        ("类型", Column::Action),
        ("操作内容", Column::Text(Field::Message)),
        ("内容", Column::Text(Field::Message)),
        ("详情", Column::Text(Field::Message)),
        ("描述", Column::Text(Field::Message)),
        ("应用名称", Column::Text(Field::ServiceName)),
        ("应用", Column::Text(Field::ServiceName)),
        ("表单名称", Column::Text(Field::ObjectType)),
        ("表单", Column::Text(Field::ObjectType)),
        ("操作模块", Column::Text(Field::ObjectType)),
        ("功能模块", Column::Text(Field::ObjectType)),
        ("模块", Column::Text(Field::ObjectType)),
        ("操作对象", Column::Text(Field::ObjectType)),
        ("对象", Column::Text(Field::ObjectType)),
        ("数据id", Column::Text(Field::ObjectId)),
        ("记录id", Column::Text(Field::ObjectId)),
        ("来源ip", Column::Address),
        ("客户端ip", Column::Address),
        ("ip地址", Column::Address),
        ("登录ip", Column::Address),
        ("操作ip", Column::Address),
        ("ip", Column::Address),
        ("设备", Column::Text(Field::UserAgent)),
        ("终端", Column::Text(Field::UserAgent)),
        ("浏览器", Column::Text(Field::UserAgent)),
        ("结果", Column::Outcome),
        ("操作结果", Column::Outcome),
        ("状态", Column::Outcome),
        ("部门", Column::Text(Field::Department)),
        ("数据条数", Column::Records),
        ("条数", Column::Records),
        ("记录数", Column::Records),
        ("数量", Column::Records),
    ],
    required: &[
        &["操作时间", "登录时间", "发生时间", "时间", "日期"],
        &["操作人账号", "账号", "用户名", "操作人", "操作者", "操作用户", "成员", "用户", "姓名"],
    ],
    words: actions::CHINESE,
    otherwise: "info",
    zone: Some(Tz::Asia__Shanghai),
};

#[cfg(test)]
mod tests {
    use super::super::trial::holds;
    use super::*;
    use crate::parse::{Options, Verdict};

    #[test]
    fn chinese_headings_and_verbs_are_understood_in_chinese_time() {
        let mut grammar = (FORMAT.grammar)(&Options::default());
        let mut events = Vec::new();
        let header = "操作时间,操作人,操作类型,应用名称,表单,操作内容,IP地址,结果";
        assert_eq!((FORMAT.sniff)(header), 92);
        assert_eq!(grammar.parse(header, &mut events), Verdict::Skipped);
        for (kind, result, action, outcome) in [
            ("数据导出", "成功", "export", "success"),
            ("登录", "密码错误，失败", "login", "failure"),
            ("批量删除数据", "", "bulk-delete", "success"),
            ("修改管理员", "成功", "permission-change", "success"),
            ("公开链接开启", "成功", "share", "success"),
        ] {
            events.clear();
            let row = format!("2026-03-02 17:14:07,张伟,{kind},客户管理,客户,导出 5200 条,203.0.113.7,{result}");
            assert_eq!(grammar.parse(&row, &mut events), Verdict::Parsed);
            holds(
                &events[0],
                &[
                    (Field::EventAction, action),
                    (Field::EventOutcome, outcome),
                    (Field::UserName, "张伟"),
                    (Field::ServiceName, "客户管理"),
                    (Field::ObjectType, "客户"),
                    (Field::SourceIp, "203.0.113.7"),
                ],
                &row,
            );
            assert_eq!(events[0].time, 1_772_442_847_000);
            let counted = matches!(action, "export" | "bulk-delete" | "share");
            assert_eq!(events[0].integer(Field::Records), counted.then_some(5_200), "{row}");
        }
    }
}
