"""The mail server is away when it matters: nothing is lost, nothing comes twice, and the metrics say that something waits."""

import time

import attacks
from case import EndToEnd
from mailserver import PASSWORD, Mailserver
from waiting import until


class Outage(EndToEnd):
    def prepare(self):
        server = self.keep(Mailserver(self.folder / "postfix"))
        daemon = self.daemon()
        daemon.configure({"crm": ("odoo.log", "odoo")}, server.section())
        server.give_credentials(daemon.credentials)
        return daemon, server

    def waiting(self, daemon):
        """The outbox holds a message whose sending has been tried."""
        self.assertGreaterEqual(daemon.metric("crmwatch_outbox_messages", channel="email"), 1)
        self.assertGreaterEqual(daemon.metric("crmwatch_alerts_sent_total", channel="email", result="retry"), 1)
        return True

    def arrives_once(self, daemon, server, who):
        until("the mail that waited", server.mails)
        until("the outbox is empty", lambda: daemon.metric("crmwatch_outbox_messages", channel="email") == 0)
        # Time for a second one, if there were one.
        time.sleep(5)
        mails = server.mails()
        self.assertEqual(len(mails), 1, [mail["subject"] for mail in mails])
        self.assertIn(who, mails[0]["subject"])
        self.assertEqual(daemon.metric("crmwatch_alerts_sent_total", channel="email", result="sent"), 1)

    def test_a_mail_waits_for_a_server_that_is_down_and_arrives_exactly_once(self):
        daemon, server = self.prepare()
        daemon.start()
        daemon.append("odoo.log", attacks.guessed_password("carol@crm.test"))
        until("the message waits in the outbox", lambda: self.waiting(daemon))
        # Seconds count from when it was due.
        until("its age is shown", lambda: daemon.metric("crmwatch_outbox_oldest_seconds", channel="email") >= 1)
        self.assertEqual(len(server.mails()), 0)
        server.start()
        self.arrives_once(daemon, server, "carol@crm.test")

    def test_a_mail_that_waits_outlives_the_daemon(self):
        daemon, server = self.prepare()
        daemon.start()
        daemon.append("odoo.log", attacks.guessed_password("dave@crm.test"))
        until("the message waits in the outbox", lambda: self.waiting(daemon))
        daemon.kill()
        server.start()
        daemon.start()
        self.arrives_once(daemon, server, "dave@crm.test")

    def test_a_wrong_password_loses_no_mail(self):
        daemon, server = self.prepare()
        server.start()
        server.give_credentials(daemon.credentials, "not the password")
        daemon.start()
        daemon.append("odoo.log", attacks.guessed_password("erin@crm.test"))
        until("the message waits in the outbox", lambda: self.waiting(daemon))
        self.assertIn("authentication", daemon.said().lower())
        self.assertNotIn("not the password", daemon.said(10**6))
        self.assertEqual(len(server.mails()), 0)
        # Mended without a restart: secrets are read at each attempt.
        server.give_credentials(daemon.credentials, PASSWORD)
        self.arrives_once(daemon, server, "erin@crm.test")
