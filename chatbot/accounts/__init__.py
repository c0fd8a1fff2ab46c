"""Accounts: names and passwords, logins, invitations, and the throttle for attempts.

Decides who a user is, never what a user may read.
"""

from chatbot.accounts.accounts import Accounts
from chatbot.accounts.logins import Person, login_key

__all__ = ["Accounts", "Person", "login_key"]
