"""From an appended line to a mail in somebody's mailbox, through a real Postfix with TLS and authentication."""

import re
import unicodedata
from html.parser import HTMLParser

import attacks
from case import EndToEnd
from mailserver import RECIPIENT, Mailserver
from waiting import until


class Page(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def unseen(text):
    """Characters that control or reorder what is shown: none of them may come out of a log."""
    return sorted({f"U+{ord(char):04X}" for char in text if unicodedata.category(char) in ("Cc", "Cf") and char not in "\n\t"})


class Mail(EndToEnd):
    def watch(self, scheme="smtps"):
        server = self.keep(Mailserver(self.folder / "postfix")).start()
        daemon = self.daemon()
        port = server.smtps if scheme == "smtps" else server.starttls
        daemon.configure({"crm": ("odoo.log", "odoo"), "app": ("app.jsonl", "json")}, server.section(port, scheme))
        server.give_credentials(daemon.credentials)
        return daemon.start(), server

    def whole(self, mail):
        """What every mail must be, whatever it tells. Gives its text and its page."""
        self.assertEqual(mail["from"].addresses[0].addr_spec, "crmwatch@crm.test")
        self.assertEqual([one.addr_spec for one in mail["to"].addresses], [RECIPIENT])
        self.assertEqual(mail["auto-submitted"], "auto-generated")
        self.assertRegex(mail["message-id"], r"^<crmwatch\.\d+\.\d+\.[0-9a-f]{12}@crm\.test>$")
        self.assertIsNotNone(mail["date"].datetime)
        self.assertEqual(mail.get_content_type(), "multipart/alternative")
        self.assertEqual([part.get_content_type() for part in mail.iter_parts()], ["text/plain", "text/html"])
        self.assertEqual(mail.defects, [])
        for part in mail.iter_parts():
            self.assertEqual(part.defects, [])
        text, page = (part.get_content().replace("\r\n", "\n") for part in mail.iter_parts())
        for name, value in [*mail.items(), ("text", text), ("page", page)]:
            self.assertEqual(unseen(str(value)), [], f"characters nobody sees in {name}: {value!r}")
        return text, Page(page)

    def test_an_appended_attack_becomes_a_mail_that_explains_it(self):
        daemon, server = self.watch()
        lines = attacks.guessed_password("alice@crm.test")
        daemon.append("odoo.log", lines)
        mails = until("the mail of the attack", server.mails)
        text, page = self.whole(mails[0])
        subject = mails[0]["subject"]
        self.assertRegex(subject, r"^\[(MEDIUM|HIGH|CRITICAL)\] .*alice@crm\.test.*\(incident \d+\)$")
        self.assertEqual(mails[0]["x-crmwatch-severity"], re.match(r"\[(\w+)\]", subject)[1].lower())
        incident = re.search(r"incident (\d+)", subject)[1]
        for part in (text, page.text):
            for said in (
                "What happened", "Observed", "Expected", "Evidence", "What to check",
                attacks.ATTACKER, "odoo.log:1",
                f"crmwatch alerts show {incident}",
                f"https://crmwatch.example.com/incidents/{incident}",
            ):  # fmt: skip
                self.assertIn(said, part)
        # The lines themselves are there; the page does not break them.
        self.assertIn(lines[0], page.text)
        # The command it hands over does what it says.
        told = daemon.command("alerts", "show", incident).stdout
        self.assertIn("alice@crm.test", told)
        self.assertIn(f"sasl_username=crmwatch@crm.test", server.log())
        self.assertIn("TLSv1", server.log())

    def test_starttls_with_authentication_works_too(self):
        daemon, server = self.watch("smtp+starttls")
        daemon.append("odoo.log", attacks.guessed_password("bob@crm.test"))
        mail = until("the mail through STARTTLS", server.mails)[0]
        self.whole(mail)
        self.assertIn("bob@crm.test", mail["subject"])

    def test_a_hostile_user_name_does_no_harm_where_it_is_shown(self):
        daemon, server = self.watch()
        name = (
            "x\r\nBcc: v@crm.test\r\n\r\n\x1b[2J\x1b]0;own\x07\u202egnp\u200b\x00=?utf-8?q?=0ABcc:_x?="
            '<script>alert(1)</script><img src="http://evil.example/p.png" onerror="alert(2)">'
        )
        daemon.append("app.jsonl", attacks.json_failures(name))
        mails = until("the mail about the hostile name", server.mails)
        text, page = self.whole(mails[0])
        self.assertIsNone(mails[0]["bcc"])
        head = server.raw_mails()[0].partition(b"\n\n")[0].decode("ascii")
        self.assertNotRegex(head, r"(?mi)^bcc:")
        # Only what the program writes itself: no element, no handler, no address out of the log.
        self.assertLessEqual(page.tags, set("html head meta body h1 h2 h3 p b i small pre code ul li br a div span table tbody tr td th hr".split()))
        for tag, attribute, value in page.attributes:
            self.assertFalse(attribute.startswith("on") or attribute == "src", f"<{tag} {attribute}={value!r}>")
            if attribute == "href":
                self.assertTrue(value.startswith("https://crmwatch.example.com/"), value)
        self.assertNotIn("http://evil.example", text)
        self.assertNotIn("http://evil.example", page.text)
        # It is shown, though, so that people know the name: neutral, not cut away.
        self.assertIn("<script>", text)
        self.assertIn("\\u{202e}", text)
        # Terminal and metrics too.
        for arguments in (["alerts", "list"], ["search", "event.action:login"]):
            shown = daemon.command(*arguments).stdout
            self.assertTrue(shown.strip(), f"crmwatch {arguments} shows nothing")
            self.assertEqual(unseen(shown), [], f"crmwatch {arguments}")
        metrics = daemon.get("/metrics")[1]
        for word in ("<script>", "Bcc", "v@crm.test", "evil"):
            self.assertNotIn(word.lower(), metrics.lower())

    def test_old_attacks_of_a_first_start_are_one_summary_and_wake_nobody(self):
        server = self.keep(Mailserver(self.folder / "postfix")).start()
        daemon = self.daemon()
        daemon.configure({"crm": ("odoo.log", "odoo")}, server.section())
        server.give_credentials(daemon.credentials)
        for number in range(3):
            lines = attacks.guessed_password(f"old{number}@crm.test", f"203.0.113.{10 + number}")
            daemon.append("odoo.log", [attacks.days_earlier(line, 20 + number) for line in lines])
        daemon.start()
        mail = until("the summary of old findings", server.mails)[0]
        text, _ = self.whole_summary(mail)
        self.assertIn("old findings", mail["subject"])
        self.assertIn("old0@crm.test", text)
        found = daemon.findings(**{"from": "2000-01-01T00:00:00Z"})
        self.assertGreaterEqual(len(found), 3)
        self.assertGreaterEqual(daemon.metric("crmwatch_findings_total", historic="true"), 3)
        self.assertIsNone(daemon.metric("crmwatch_findings_total", historic="false"))
        self.assertEqual(len(server.mails()), 1)

    def whole_summary(self, mail):
        self.assertEqual(mail["auto-submitted"], "auto-generated")
        self.assertEqual(mail.defects, [])
        text, page = (part.get_content().replace("\r\n", "\n") for part in mail.iter_parts())
        return text, Page(page)
