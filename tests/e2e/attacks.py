"""Log lines written by these tests: people at work, and attacks on them. Not for a company's whole life; `crmwatch demo` has that.

Addresses are those kept for documentation (RFC 5737), which belong to nobody.
"""

import datetime
import json

ATTACKER = "203.0.113.66"
OFFICE = "192.0.2.10"


def ago(seconds):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)


def odoo_login(user, address, outcome, when):
    """A line of Odoo's server log. Odoo stamps in UTC."""
    stamp = when.strftime("%Y-%m-%d %H:%M:%S,") + f"{when.microsecond // 1000:03}"
    word = {"failure": "failed", "success": "successful"}[outcome]
    return (
        f"{stamp} 4711 INFO crm odoo.addons.base.models.res_users: "
        f"Login {word} for db:crm login:{user} from {address}"
    )


def guessed_password(user, address=ATTACKER, failures=14):
    """Failed logins two seconds apart, and then one that succeeds, just now."""
    lines = [odoo_login(user, address, "failure", ago(2 * count + 1)) for count in range(failures, 0, -1)]
    return [*lines, odoo_login(user, address, "success", ago(0))]


def nginx(user, address, request, when, status=200, size=5120, agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"):
    """A line of nginx in the combined format."""
    stamp = when.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{address} - {user} [{stamp}] "{request} HTTP/1.1" {status} {size} "-" "{agent}"'


def json_failures(user, address=ATTACKER, failures=14, **more):
    """Failed logins in JSON lines with ECS names."""
    return [
        json.dumps(
            {
                "@timestamp": ago(2 * count).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "event.action": "login",
                "event.outcome": "failure",
                "user.name": user,
                "source.ip": address,
                **more,
            }
        )
        for count in range(failures, 0, -1)
    ]


def days_earlier(line, days):
    """An Odoo line moved into the past."""
    stamp = datetime.datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S") - datetime.timedelta(days=days)
    return stamp.strftime("%Y-%m-%d %H:%M:%S") + line[19:]
