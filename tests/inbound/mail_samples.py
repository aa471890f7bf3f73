"""Bounces and complaints as they come, about the message with this Message-ID."""

from __future__ import annotations

POSTFIX = """\
Return-Path: <>
Received: by mail.example.com (Postfix) id 4F1C2; Thu, 1 Jan 2026 10:00:00 +0000
Date: Thu, 1 Jan 2026 10:00:00 +0000
From: MAILER-DAEMON@mail.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: bounces@shop.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F1C2.1767261600/mail.example.com"
Message-Id: <20260101100000.4F1C2@mail.example.com>

This is a MIME-encapsulated message.

--4F1C2.1767261600/mail.example.com
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mail.example.com.

<ada@example.org>: host mx.example.org[192.0.2.1] said: {reply} (in
    reply to RCPT TO command)

--4F1C2.1767261600/mail.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com
X-Postfix-Queue-ID: 4F1C2
X-Postfix-Sender: rfc822; bounces@shop.example
Arrival-Date: Thu, 1 Jan 2026 09:59:59 +0000

Final-Recipient: rfc822; ada@example.org
Original-Recipient: rfc822;ada@example.org
Action: {action}
Status: {status}
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; {reply}

--4F1C2.1767261600/mail.example.com
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <bounces@shop.example>
From: Shop <hello@shop.example>
To: ada@example.org
Subject: News
Message-ID: <{id}@shop.example>
Content-Type: text/plain; charset=utf-8

It works.

--4F1C2.1767261600/mail.example.com--
"""

EXCHANGE = """\
From: <postmaster@example.org>
To: <bounces@shop.example>
Date: Thu, 1 Jan 2026 10:00:00 +0000
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="_87a1-exchange_"
Content-Language: en-GB
Message-ID: <d9e2c4@EXCH01.example.org>
In-Reply-To: <{id}@shop.example>
References: <{id}@shop.example>
Subject: Undeliverable: News
Auto-Submitted: auto-replied

--_87a1-exchange_
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="_inner_87a1-exchange_"

--_inner_87a1-exchange_
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Delivery has failed to these recipients or groups:

--_inner_87a1-exchange_
Content-Type: text/html; charset="us-ascii"

<html><body>Delivery has failed</body></html>

--_inner_87a1-exchange_--

--_87a1-exchange_
Content-Type: message/delivery-status
Content-Transfer-Encoding: base64

{status64}

--_87a1-exchange_
Content-Type: message/rfc822

Received: from mail.shop.example by EXCH01.example.org
Subject: News
Message-ID: <{id}@shop.example>

It works.

--_87a1-exchange_--
"""

EXCHANGE_STATUS = """\
Reporting-MTA: dns;EXCH01.example.org

Final-recipient: RFC822;ada@example.org
Action: failed
Status: 5.1.10
Diagnostic-code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found
X-Display-Name: ada@example.org
"""

GMAIL = """\
Delivered-To: bounces@shop.example
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: bounces@shop.example
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
References: <{id}@shop.example>
In-Reply-To: <{id}@shop.example>
X-Failed-Recipients: ada@example.org
Message-ID: <6786aa01.050a@mx.google.com>
Content-Type: multipart/report; boundary="0000000000abcd"; report-type=delivery-status

--0000000000abcd
Content-Type: multipart/related; boundary="0000000000abcdef"

--0000000000abcdef
Content-Type: text/plain; charset="UTF-8"

** Address not found **

Your message wasn't delivered to ada@example.org.

--0000000000abcdef--
--0000000000abcd
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Thu, 01 Jan 2026 02:00:00 -0800 (PST)
X-Original-Message-ID: <{id}@shop.example>

Final-Recipient: rfc822; ada@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; gmail-smtp-in.l.google.com. (192.0.2.26, the server for the domain.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.
 550 5.1.1 For more information, go to the help pages.
Last-Attempt-Date: Thu, 01 Jan 2026 02:00:01 -0800 (PST)

--0000000000abcd
Content-Type: message/rfc822

From: Shop <hello@shop.example>
Message-ID: <{id}@shop.example>
Subject: News

It works.
--0000000000abcd--
"""

QMAIL = """\
Return-Path: <>
From: MAILER-DAEMON@mail.example.org
To: bounces@shop.example
Subject: failure notice
Date: 1 Jan 2026 10:00:00 -0000

Hi. This is the qmail-send program at mail.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@example.org>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <bounces@shop.example>
Received: (qmail 4711 invoked from network); 1 Jan 2026 09:59:59 -0000
From: Shop <hello@shop.example>
Message-ID: <{id}@shop.example>
Subject: News

It works.
"""

EXIM = """\
Return-path: <>
X-Failed-Recipients: ada@example.org
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mail.example.org>
To: bounces@shop.example
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ada@example.org
    host mx.example.org [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<ada@example.org>:
    452 4.2.2 The mailbox is full

------ This is a copy of the message, including all the headers. ------

Return-path: <bounces@shop.example>
Message-ID: <{id}@shop.example>
Subject: News

550 5.1.1 is what the message itself says.
"""

ABUSE = """\
From: <abuse@provider.example>
Date: Thu, 1 Jan 2026 11:00:00 +0000
Subject: FW: News
To: <fbl@shop.example>
MIME-Version: 1.0
Message-ID: <fbl-4711@provider.example>
Content-Type: multipart/report; report-type=feedback-report;
 boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <bounces@shop.example>
Original-Rcpt-To: <ada@example.org>

--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822
Content-Disposition: inline

From: Shop <hello@shop.example>
To: redacted@provider.example
Message-ID: <{id}@shop.example>
Subject: News

It works.
--part1_13d.2e68ed54_boundary--
"""

VACATION = """\
From: Ada <ada@example.org>
To: hello@shop.example
Subject: Out of office: News
Auto-Submitted: auto-replied
In-Reply-To: <{id}@shop.example>
Message-ID: <vacation-1@example.org>

I am away until 5.1.1970. 550 mails wait for me already.
"""

READ = """\
From: Ada <ada@example.org>
To: hello@shop.example
Subject: Read: News
Content-Type: multipart/report; report-type=disposition-notification; boundary="mdn"

--mdn
Content-Type: text/plain

This is a receipt for the mail that you sent.

--mdn
Content-Type: message/disposition-notification

Final-Recipient: rfc822; ada@example.org
Original-Message-ID: <{id}@shop.example>
Disposition: manual-action/MDN-sent-manually; displayed

--mdn--
"""
