"""One service each, in its own words: requests in, JSON out; paging, retries, limits and errors.

    session    one HTTP session per side: retry table, limits, breaker, counts
    redact     what no log record may hold
    mailchimp  the Marketing API: account, lists, fields, groups, members
    maximizer  the Address Book API ("Octopus", Web.Data), on-premise and cloud

No decisions and no frames: callers get the services' own rows. Nothing here can delete a record on either side.
"""
