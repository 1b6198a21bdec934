#!/usr/bin/env bash
# Takes the screenshot of the mailbox page that the README shows: docs/mailbox.png.
# Needs curl, Chromium and a font with Latin letters.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --quiet -p anymail-test-utils --bin fake-postmark
work=$(mktemp -d)
"${CARGO_TARGET_DIR:-target}/debug/fake-postmark" --port 8125 --deliver >"$work/log" &
fake=$!
trap 'kill "$fake"; rm -rf "$work"' EXIT
url=http://127.0.0.1:8125
for _ in $(seq 50); do curl --silent --output /dev/null "$url" && break; sleep 0.1; done

send() {
    curl --silent --fail "$url/email" -H 'Accept: application/json' -H 'Content-Type: application/json' \
        -H 'X-Postmark-Server-Token: server-token' -d "$1" | sed 's/.*"MessageID":"\([^"]*\)".*/\1/'
}

send '{"From": "Anvil Shop <shop@example.com>", "To": "bob@example.org", "Subject": "Reset your password",
  "Tag": "password", "TextBody": "Somebody asked for a new password for your account. If it was not you, ignore this message."}' >/dev/null
send '{"From": "Anvil Shop <shop@example.com>", "To": "list@example.net", "Subject": "Spring sale: 20 % off all anvils",
  "MessageStream": "broadcast", "TextBody": "Only this week: every anvil in the shop is a fifth cheaper."}' >/dev/null
receipt=$(send '{"From": "Anvil Shop <shop@example.com>", "To": "Ann Doe <ann@example.com>", "ReplyTo": "help@example.com",
  "Subject": "Your receipt for order 1042", "Tag": "receipt", "Metadata": {"order": "1042"}, "TrackOpens": true,
  "TextBody": "Thank you for your order. Total: 49.00 EUR",
  "HtmlBody": "<div style=\"font-family: sans-serif; color: #23211c; padding: 24px\"><h2 style=\"margin: 0 0 12px\">Thank you, Ann!</h2><p>Your order <a href=\"https://shop.example.com/orders/1042\">1042</a> is on its way.</p><table style=\"border-collapse: collapse; margin: 16px 0\"><tr><td style=\"padding: 6px 40px 6px 0\">1 anvil, small</td><td>44.00 EUR</td></tr><tr><td style=\"padding: 6px 40px 6px 0\">Shipping</td><td>5.00 EUR</td></tr><tr><td style=\"padding: 6px 40px 6px 0; border-top: 1px solid #ccc\"><b>Total</b></td><td style=\"border-top: 1px solid #ccc\"><b>49.00 EUR</b></td></tr></table><p>Questions? Just reply to this message.</p></div>",
  "Attachments": [{"Name": "receipt.pdf", "ContentType": "application/pdf", "Content": "JVBERi0xLjQK"}]}')
curl --silent --output /dev/null -X POST "$url/mailbox/$receipt/open"

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
"$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --virtual-time-budget=2000 --window-size=1160,700 \
    --screenshot="$PWD/anymail-test-utils/docs/mailbox.png" "$url/mailbox/$receipt" 2>"$work/chromium"
ls -l anymail-test-utils/docs/mailbox.png
