"""Mailchimp's Marketing API 3.0: account, lists, merge fields, groups, members."""

from clients.mailchimp.client import BatchAnswer, Mailchimp
from clients.mailchimp.key import parse_key
from clients.mailchimp.listing import MemberListing, Page

__all__ = ["BatchAnswer", "Mailchimp", "MemberListing", "Page", "parse_key"]
