"""aiosmtpd with STARTTLS and AUTH. Says its port in the first line, and each mail in a line of
JSON."""
import asyncio
import base64
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

certificate, key, password = sys.argv[1:]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        content = base64.b64encode(envelope.content).decode()
        mail = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "content": content,
            "over_tls": session.ssl is not None,
            "logged_in": session.authenticated,
            "utf8": envelope.smtp_utf8,
            "peer": session.peer[1],
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 OK"


def login(server, session, envelope, mechanism, data):
    right = data.login == b"shop" and data.password == password.encode()
    return AuthResult(success=right, handled=right)


def smtp():
    return SMTP(
        Handler(),
        hostname="mx.example.test",
        enable_SMTPUTF8=True,
        tls_context=context,
        require_starttls=True,
        authenticator=login,
        auth_required=True,
    )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# It warns of its own use of what is deprecated in itself.
logging.disable(logging.WARNING)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
asyncio.run(main())
