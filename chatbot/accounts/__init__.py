"""Accounts: names and passwords, logins, invitations, and the throttle in front of them.

Answers for who somebody is, never for what they may read.
"""

from chatbot.accounts.accounts import Accounts
from chatbot.accounts.logins import Person, login_key

__all__ = ["Accounts", "Person", "login_key"]
