"""A real Postfix in a folder of its own: TLS by a certificate authority made for it, authentication required, mail delivered
to a Maildir. Not for how the daemon behaves when it is away; a test stops and starts it for that.
"""

import email
import email.policy
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from waiting import free_port, listens, until

USER = "crmwatch"
PASSWORD = "correct horse battery staple"
DOMAIN = "crm.test"
RECIPIENT = f"soc@{DOMAIN}"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
myhostname = mail.{domain}
mydomain = {domain}
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{ {recipient} = soc/ }} }}
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_tls_cert_file = {folder}/tls/server.pem
smtpd_tls_key_file = {folder}/tls/server.key
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {domain}
cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_tls_loglevel = 1
"""

MASTER = """
127.0.0.1:{smtps}     inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{starttls}  inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
pickup    unix n - n 60    1 pickup
cleanup   unix n - n -     0 cleanup
qmgr      unix n - n 300   1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n -     - trivial-rewrite
bounce    unix - - n -     0 bounce
defer     unix - - n -     0 bounce
trace     unix - - n -     0 bounce
verify    unix - - n -     1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n -     - proxymap
error     unix - - n -     - error
retry     unix - - n -     - error
virtual   unix - n n -     - virtual
anvil     unix - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""

SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/etc/sasldb2
mech_list: PLAIN LOGIN
"""


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, stdin=more.pop("stdin", subprocess.DEVNULL), **more)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return done


class Mailserver:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.smtps = free_port()
        self.starttls = free_port()
        self.ca = self.folder / "tls/ca.pem"
        for name in ("etc/sasl", "queue", "data", "mail/soc", "tls"):
            (self.folder / name).mkdir(parents=True)
        self._configure()
        self._certify()

    def _configure(self):
        # Whoever owns mailboxes must not be root.
        owner = pwd.getpwnam("nobody")
        postfix = pwd.getpwnam("postfix")
        words = dict(
            folder=self.folder,
            domain=DOMAIN,
            recipient=RECIPIENT,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            smtps=self.smtps,
            starttls=self.starttls,
        )
        (self.folder / "etc/main.cf").write_text(MAIN.format(**words))
        (self.folder / "etc/master.cf").write_text(MASTER.format(**words))
        (self.folder / "etc/sasl/smtpd.conf").write_text(SASL.format(**words))
        database = self.folder / "etc/sasldb2"
        run("saslpasswd2", "-p", "-c", "-f", str(database), "-u", DOMAIN, USER, stdin=None, input=PASSWORD)
        shutil.chown(database, "postfix")
        os.chown(self.folder / "data", postfix.pw_uid, -1)
        for name in ("mail", "mail/soc"):
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)

    def _certify(self):
        """A certificate authority of its own, and the server's certificate by it."""
        tls = self.folder / "tls"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        run(
            "openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=Test authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", f"{tls}/ca.key", "-out", f"{tls}/ca.pem",
        )  # fmt: skip
        run("openssl", "req", *key, "-subj", "/CN=localhost", "-keyout", f"{tls}/server.key", "-out", f"{tls}/server.csr")
        (tls / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        run(
            "openssl", "x509", "-req", "-in", f"{tls}/server.csr", "-CA", f"{tls}/ca.pem", "-CAkey", f"{tls}/ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{tls}/names", "-out", f"{tls}/server.pem",
        )  # fmt: skip

    def start(self):
        try:
            run("postfix", "-c", f"{self.folder}/etc", "start", timeout=60)
            until("Postfix listens", lambda: listens(self.smtps) and listens(self.starttls))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        return self

    def stop(self):
        run("postfix", "-c", f"{self.folder}/etc", "stop", timeout=60)
        until("Postfix is gone", lambda: not listens(self.smtps))

    def kill(self):
        """For the end of a test, whatever became of it: only a Postfix that is there is stopped."""
        if (self.folder / "queue/pid/master.pid").exists() and listens(self.smtps):
            self.stop()

    def log(self):
        path = self.folder / "mail.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def section(self, port=None, scheme="smtps", severity="medium"):
        """The daemon's [email] section for this server, and short waits."""
        return f"""
[email]
server = "{scheme}://localhost:{port or self.smtps}"
from = "crmwatch@{DOMAIN}"
to = ["{RECIPIENT}"]
username_credential = "smtp-user"
password_credential = "smtp-password"
ca_file = "{self.ca}"
min_severity = "{severity}"

[alerts]
group_wait = "1s"
link = "https://crmwatch.example.com"
"""

    @staticmethod
    def give_credentials(folder, password=PASSWORD):
        (folder / "smtp-user").write_text(f"{USER}@{DOMAIN}\n")
        (folder / "smtp-password").write_text(f"{password}\n")

    def raw_mails(self):
        """The bytes of every delivered mail, in the order of delivery."""
        files = [path for name in ("new", "cur") for path in (self.folder / "mail/soc" / name).glob("*")]
        return [path.read_bytes() for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]

    def mails(self):
        return [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.raw_mails()]
