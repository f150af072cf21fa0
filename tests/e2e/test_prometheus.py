"""A real Prometheus scrapes the daemon: the shipped rules fire on an attack, and every panel's expression is understood."""

import json
import subprocess

import attacks
from case import EndToEnd
from daemon import ROOT
from prometheus import Prometheus
from waiting import until

RULES = ROOT / "grafana/prometheus"
DASHBOARDS = ROOT / "grafana/dashboards"

# What Grafana puts in place of its variables before it asks.
VARIABLES = {
    "__rate_interval": "1m",
    "__interval": "15s",
    "__range": "1h",
    "__auto": "1m",
    "__interval_ms": "15000",
    "__range_s": "3600",
}


def rules():
    found = sorted(RULES.glob("*.rules.yml"))
    assert found, f"no rules in {RULES}"
    return found


def filled(expression, others=()):
    """An expression as Grafana would send it, every choice on "all"."""
    names = {**dict.fromkeys(others, ".*"), **VARIABLES}
    for name in sorted(names, key=len, reverse=True):
        for form in (f"${{{name}}}", f"${{{name}:regex}}", f"${{{name}:pipe}}", f"${name}", f"[[{name}]]"):
            expression = expression.replace(form, names[name])
    return expression


def expressions(dashboard):
    """Every Prometheus expression of a dashboard, with the title of its panel."""

    def walk(panels):
        for panel in panels:
            yield from walk(panel.get("panels", []))
            for target in panel.get("targets", []):
                if target.get("expr"):
                    yield panel.get("title", "?"), target["expr"]

    yield from walk(dashboard.get("panels", []))
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if expr := annotation.get("expr"):
            yield f"annotation {annotation.get('name')}", expr


class Monitoring(EndToEnd):
    def scraped(self):
        daemon = self.daemon()
        daemon.configure({"crm": ("odoo.log", "odoo")})
        daemon.start()
        server = self.keep(Prometheus(self.folder / "prometheus", daemon.port, rules())).start()
        until("the daemon is scraped", lambda: server.query('up{job="crmwatch"} == 1'))
        return daemon, server

    def test_an_appended_attack_makes_a_shipped_rule_fire(self):
        daemon, server = self.scraped()
        loaded = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
        self.assertTrue(any(rule["type"] == "alerting" for rule in loaded), "no alerting rule is loaded")
        bad = [f"{rule['name']}: {rule['lastError']}" for rule in loaded if rule.get("lastError")]
        self.assertEqual(bad, [])
        before = {alert["labels"]["alertname"] for alert in server.alerts()}
        daemon.append("odoo.log", attacks.guessed_password("alice@crm.test"))
        found = until("the finding is recorded", lambda: daemon.findings(severity="high"))
        self.assertIn("brute-force-success", {finding["rule"] for finding in found})

        def new():
            return [alert for alert in server.alerts() if alert["labels"]["alertname"] not in before]

        firing = until("an alert of the attack fires", new)
        for alert in firing:
            self.assertTrue(alert["annotations"].get("summary"), alert)
            self.assertIn(alert["labels"].get("severity"), {"page", "ticket"}, alert)
            self.assertTrue(alert["annotations"].get("description"), alert)
            # Who it was stays out of metrics, where everybody can read.
            self.assertNotIn("alice", json.dumps(alert))
        named = {alert["labels"].get("rule") for alert in firing}
        self.assertIn("brute-force-success", named, firing)

    def test_nothing_fires_while_people_work(self):
        daemon, server = self.scraped()
        daemon.append("odoo.log", [attacks.odoo_login(f"user{n}", attacks.OFFICE, "success", attacks.ago(1)) for n in range(20)])
        until("the lines are indexed", lambda: len(daemon.search("event.action:login")) == 20)
        until("the new state is scraped", lambda: server.query("crmwatch_lines_read_total == 20"))
        evaluated = {group["name"]: group["lastEvaluation"] for group in server.ask("rules")["groups"]}
        until(
            "every group is evaluated again",
            lambda: all(group["lastEvaluation"] > evaluated[group["name"]] for group in server.ask("rules")["groups"]),
        )
        self.assertEqual([alert["labels"]["alertname"] for alert in server.alerts()], [])

    def test_promtool_accepts_the_rules_and_their_tests_pass(self):
        tests = sorted(RULES.glob("*.test.yml"))
        self.assertTrue(tests, f"no tests of the rules in {RULES}")
        for arguments in (
            ["check", "rules", *map(str, rules())],
            ["test", "rules", *map(str, tests)],
            # The rules' path in the example is an operator's; whether they load is seen in the other tests.
            ["check", "config", "--syntax-only", "prometheus.yml"],
        ):
            done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, cwd=RULES)
            self.assertEqual(done.returncode, 0, f"promtool {' '.join(arguments)}:\n{done.stdout}{done.stderr}")

    def test_every_expression_of_the_dashboards_is_answered(self):
        daemon, server = self.scraped()
        daemon.append("odoo.log", attacks.guessed_password("alice@crm.test"))
        until("the finding is scraped", lambda: server.query("crmwatch_findings_total > 0"))
        metrics = set(server.ask("label/__name__/values"))
        asked = 0
        files = sorted(DASHBOARDS.glob("*.json"))
        self.assertTrue(files, f"no dashboards in {DASHBOARDS}")
        for path in files:
            dashboard = json.loads(path.read_text())
            names = [variable["name"] for variable in dashboard.get("templating", {}).get("list", [])]
            for title, expression in expressions(dashboard):
                asked += 1
                with self.subTest(dashboard=path.name, panel=title):
                    server.query(filled(expression, names))
        self.assertGreater(asked, 0, "the dashboards ask nothing of Prometheus")
        self.assertIn("crmwatch_lines_read_total", metrics)
