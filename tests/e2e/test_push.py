"""Records pushed with curl: over TLS, packed, as a list; who gets in; and that a killed daemon has kept what it acknowledged."""

import gzip
import hashlib
import json
import socket
import subprocess
import time

import attacks
from case import EndToEnd
from waiting import free_port, until

TOKEN = "a-long-word-of-the-test"


def record(number):
    return {"@timestamp": attacks.ago(5).isoformat(), "event.action": "view", "user.name": "alice", "number": number}


class Push(EndToEnd):
    def pushed_to(self, rest=""):
        daemon = self.daemon()
        daemon.configure({})
        (daemon.credentials / "push-token").write_text(TOKEN + "\n")
        source = '\n[[source]]\nname = "app"\npush = true\ntoken_credential = "push-token"\nformat = "json"\n'
        daemon.config.write_text(daemon.config.read_text() + source + rest)
        self.url = f"http://127.0.0.1:{daemon.port}/api/v1/push/app"
        return daemon

    def tls(self, daemon):
        """A certificate for localhost, and the section that listens with it."""
        certificate, key, port = self.folder / "push.pem", self.folder / "push.key", free_port()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            + ["-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True,
            capture_output=True,
        )
        section = f'\n[push]\nlisten = "0.0.0.0:{port}"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        daemon.config.write_text(daemon.config.read_text() + section)
        self.url = f"https://localhost:{port}/api/v1/push/app"
        return certificate

    def curl(self, *arguments, token=TOKEN, url=None):
        """Status and body of what curl was answered."""
        bearer = ["--header", f"Authorization: Bearer {token}"] if token else []
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}", *bearer]
            + [*map(str, arguments), url or self.url],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), json.loads(body) if body else None

    def numbers(self, daemon):
        return sorted(json.loads(event["event.original"])["number"] for event in daemon.search("user.name:alice"))

    def test_a_list_over_tls_is_there_byte_for_byte_and_the_listener_serves_nothing_else(self):
        daemon = self.pushed_to()
        certificate = self.tls(daemon)
        self.assertIn("right, 1 source(s)", daemon.command("check").stdout)
        daemon.start()
        body = self.folder / "list.json"
        body.write_text(json.dumps([record(1), record(2)], indent=2))
        json_body = ["--header", "Content-Type: application/json", "--data-binary", f"@{body}"]
        self.assertEqual(self.curl("--cacert", certificate, *json_body), (200, {"accepted": 2}))
        until("both are searchable", lambda: self.numbers(daemon) == [1, 2])
        for path in ("/metrics", "/api/v1/findings", "/"):
            self.assertEqual(self.curl("--cacert", certificate, url=self.url.replace("/api/v1/push/app", path))[0], 404)
        # With a listener of its own, push is not on the other one as well.
        other = f"http://127.0.0.1:{daemon.port}/api/v1/push/app"
        self.assertEqual(self.curl(*json_body, url=other)[0], 404)
        self.assertEqual(daemon.stop(), 0)

    def test_packed_lines_are_unpacked_and_each_is_a_record(self):
        daemon = self.pushed_to().start()
        lines = "".join(json.dumps(record(n)) + "\n" for n in range(1000))
        packed = self.folder / "lines.gz"
        packed.write_bytes(gzip.compress(lines.encode()))
        headers = ["--header", "Content-Type: application/x-ndjson", "--header", "Content-Encoding: gzip"]
        self.assertEqual(self.curl(*headers, "--data-binary", f"@{packed}"), (200, {"accepted": 1000}))
        until("all are searchable", lambda: self.numbers(daemon) == list(range(1000)))
        addresses = {event["log.source.address"] for event in daemon.search("user.name:alice")}
        self.assertEqual(addresses, {"127.0.0.1"})

    def test_without_the_token_nothing_gets_in_and_curls_own_content_type_is_explained(self):
        daemon = self.pushed_to().start()
        one = json.dumps(record(1))
        as_json = ["--header", "Content-Type: application/json", "--data-binary", one]
        self.assertEqual(self.curl(*as_json, token=None)[0], 401)
        self.assertEqual(self.curl(*as_json, token="another")[0], 403)
        self.assertEqual(self.curl(*as_json, url=self.url + "x")[0], 404)
        self.assertEqual(self.curl()[0], 405)
        status, answer = self.curl("--data-binary", one)
        self.assertEqual(status, 415)
        self.assertIn("Content-Type", answer["error"])
        # A name that a proxy was reached by does not matter here, and does for everything else.
        self.assertEqual(self.curl(*as_json, "--header", "Host: logs.example.com"), (200, {"accepted": 1}))
        metrics = f"http://127.0.0.1:{daemon.port}/metrics"
        self.assertEqual(subprocess.run(["curl", "-so", "/dev/null", "-w", "%{http_code}", "-H", "Host: logs.example.com", metrics], capture_output=True, text=True).stdout, "421")
        until("the one is searchable", lambda: self.numbers(daemon) == [1])
        self.assertEqual(daemon.metric("crmwatch_refused_total", source="app", cause="token"), 2)

    def test_a_signed_delivery_is_known_again_when_it_is_repeated(self):
        daemon = self.daemon()
        daemon.configure({})
        (daemon.credentials / "jdy-secret").write_text("s3cret\n")
        source = '\n[[source]]\nname = "app"\nformat = "jiandaoyun"\npush = true\n'
        source += 'signature = "jiandaoyun"\nsignature_credential = "jdy-secret"\n'
        daemon.config.write_text(daemon.config.read_text() + source)
        daemon.start()
        made = attacks.ago(5).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        maker = {"_id": "5e0000000000000000000001", "name": "小云", "username": "R-1001"}
        data = {"_id": "640000000000000000000001", "formName": "客户", "creator": maker, "createTime": made}
        body = json.dumps({"op": "data_create", "data": data}, ensure_ascii=False)
        stamp, nonce = str(int(time.time())), "0f5ade"
        signature = hashlib.sha1(f"{nonce}:{body}:s3cret:{stamp}".encode()).hexdigest()
        url = f"http://127.0.0.1:{daemon.port}/api/v1/push/app?timestamp={stamp}&nonce={nonce}"
        headers = ["--header", "Content-Type: application/json", "--header", "X-JDY-DeliverId: d-1"]
        signed = [*headers, "--header", f"X-JDY-Signature: {signature}"]
        for _ in range(2):
            self.assertEqual(self.curl(*signed, "--data-binary", body, token=None, url=url), (200, {"accepted": 1}))
        self.assertEqual(self.curl(*signed, "--data-binary", body + " ", token=None, url=url)[0], 403)
        self.assertEqual(self.curl(*headers, "--data-binary", body, token=None, url=url)[0], 401)
        until("both are searchable", lambda: len(daemon.search("event.action:create")) == 2)
        events = daemon.search("event.action:create")
        self.assertEqual([event["user.full_name"] for event in events], ["小云", "小云"])
        self.assertEqual(sorted(event.get("crm.duplicate", False) for event in events), [False, True])

    def test_broken_json_is_kept_and_lands_in_quarantine(self):
        daemon = self.pushed_to().start()
        body = json.dumps(record(1)) + '\n{"user.name":"alice","number":'
        answer = self.curl("--header", "Content-Type: application/json", "--data-binary", body)
        self.assertEqual(answer, (200, {"accepted": 2, "broken_at": body.index("\n") + 1}))
        until("it is in quarantine", lambda: len(daemon.search("crm.quarantine.reason:*")) == 1)

    def test_what_was_acknowledged_outlives_a_kill(self):
        daemon = self.pushed_to().start()
        for number in range(50):
            body = json.dumps(record(number))
            self.assertEqual(self.curl("--header", "Content-Type: application/json", "--data-binary", body)[0], 200)
        daemon.kill()
        daemon.start()
        until("all are searchable, once", lambda: self.numbers(daemon) == list(range(50)))

    def test_slow_senders_hold_up_neither_others_nor_the_metrics(self):
        daemon = self.pushed_to().start()
        held = []
        for number in range(60):
            connection = socket.create_connection(("127.0.0.1", daemon.port))
            self.addCleanup(connection.close)
            head = "POST /api/v1/push/app HTTP/1.1\r\nHost: a\r\n"
            if number % 2:
                head += f"Authorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\nx"
            connection.sendall(head.encode())
            held.append(connection)
        self.assertEqual(daemon.get("/healthz"), (200, "ok\n"))
        one = ["--header", "Content-Type: application/json", "--data-binary", json.dumps(record(1))]
        self.assertEqual(self.curl(*one), (200, {"accepted": 1}))
        # Whoever does not end the head of a request is let go.
        held[0].settimeout(40)
        self.assertEqual(held[0].recv(1), b"")
        self.assertEqual(daemon.stop(), 0)
