"""Reads mails with Python's `email`: each comes as its length in a line and its bytes, and goes
back as one line of JSON."""
import base64
import json
import sys
from email import message_from_bytes, message_from_string, policy


def addresses(mail, name):
    header = mail[name]
    if header is None:
        return []
    return [[it.display_name, it.addr_spec] for it in header.addresses]


def part(leaf):
    kind = leaf.get_content_type()
    seen = {
        "kind": kind,
        "disposition": leaf.get_content_disposition(),
        "filename": leaf.get_filename(),
        "content_id": leaf["Content-ID"] and str(leaf["Content-ID"]),
        "text": None,
        "mail": None,
    }
    if kind == "message/rfc822":
        seen["mail"] = read(leaf.get_payload(0))
        seen["content"] = ""
        return seen
    content = leaf.get_payload(decode=True)
    seen["content"] = base64.b64encode(content or b"").decode()
    if kind.startswith("text/"):
        seen["text"] = leaf.get_content()
    return seen


def leaves(mail):
    if mail.is_multipart() and mail.get_content_maintype() == "multipart":
        return [leaf for child in mail.iter_parts() for leaf in leaves(child)]
    return [part(mail)]


def defects(mail):
    own = [repr(it) for it in mail.defects]
    if mail.is_multipart() and mail.get_content_maintype() == "multipart":
        for child in mail.iter_parts():
            own += defects(child)
    return own


def read(mail):
    known = {"from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version"}
    return {
        "subject": None if mail["Subject"] is None else str(mail["Subject"]),
        "from": addresses(mail, "From"),
        "to": addresses(mail, "To"),
        "cc": addresses(mail, "Cc"),
        "reply_to": addresses(mail, "Reply-To"),
        "headers": [
            [name.lower(), str(value)]
            for name, value in mail.items()
            if name.lower() not in known and not name.lower().startswith("content-")
        ],
        "parts": leaves(mail),
        "defects": defects(mail),
    }


source, answers = sys.stdin.buffer, sys.stdout
while line := source.readline():
    raw = source.read(int(line))
    if raw.isascii():
        mail = message_from_bytes(raw, policy=policy.default)
    else:
        # From bytes, Python reads no header in UTF-8 (RFC 6532).
        mail = message_from_string(raw.decode(), policy=policy.default)
    print(json.dumps(read(mail)), file=answers, flush=True)
