"""What hosts say of the accounts that appear in answers: who they are, where they ask for money, whom they pay."""

import structlog
from wump_core import schedule
from wump_core.errors import CredentialsRejected, InvalidResponse, NotFound, ProviderFailed
from wump_core.providers import Provider
from wump_core.records import OrganizationRecord
from wump_core.settings import TokenSettings
from wump_core.store.accounts import add_accounts, end_sponsorships, save_sponsorships
from wump_core.store.executions import Execution
from wump_core.store.organizations import TooMuchAtOnce, merge_organizations
from wump_core.store.profiles import (
    Owner,
    WantedAccount,
    date_account,
    list_same_domain,
    list_wanted_accounts,
    save_missing_account,
    save_organization_counts,
    save_owner,
    save_profile,
)
from wump_core.store.providers import save_attempt

from wump_worker.jobs.owners import plan_restamping
from wump_worker.resources import Resources

ENRICH_ORGANIZATIONS = "enrich_organizations"
FETCH_ORGANIZATION = "fetch_organization"
FETCH_SPONSORSHIPS = "fetch_sponsorships"
AGAIN_AFTER_DAYS = 6
"""Less than a week, so that a weekly run finds those of the week before."""
MAX_SPONSORSHIP_PAGES = 20
log = structlog.get_logger("wump.jobs")


async def enrich_organizations(resources: Resources, execution: Execution) -> None:
    """Ask hosts about the accounts of organizations that depend on tracked packages, the most wanted first.

    Each account is saved by itself, dated: a run that is cut off goes on with those that are left.
    """
    hosts = resources.hosts_with_token(FETCH_ORGANIZATION)
    async with resources.engine.begin() as connection:
        wanted = await list_wanted_accounts(
            connection, hosts, days=AGAIN_AFTER_DAYS, limit=resources.settings.enrich_organizations
        )
    refused = merged = 0
    for account in wanted:
        told = await _enrich(resources, account, execution)
        refused += told is None
        merged += told or 0
        async with resources.engine.begin() as connection:
            await save_organization_counts(connection, account.id)
            await schedule.hold(connection, execution)
    async with resources.engine.begin() as connection:
        outcome: dict[str, object] = {"code": "saved", "asked": len(wanted), "refused": refused, "merged": merged}
        if not hosts:
            outcome["message"] = "no code host that knows accounts has a token: set WUMP_PROVIDER_GITHUB_TOKEN"
        await schedule.finish(connection, execution, records_processed=len(wanted), outcome=outcome)


async def _enrich(resources: Resources, account: WantedAccount, execution: Execution) -> int | None:
    """Ask about one account; returns how many organizations are one with it, null where nothing could be used."""
    subject = f"{account.host}/{account.login}"

    async def ask(provider: Provider) -> OrganizationRecord:
        context = resources.context(provider, on_demand=execution.queue == "high")
        return await provider.fetch_organization(context, account.host, account.login)

    try:
        provider, record = await resources.providers.fetch_from_host(FETCH_ORGANIZATION, account.host, ask)
    except NotFound as error:
        async with resources.engine.begin() as connection:
            await save_missing_account(connection, account.id, str(error))
        return 0
    except (InvalidResponse, ProviderFailed) as error:
        # One account that can't be read must not hold up all others.
        async with resources.engine.begin() as connection:
            await date_account(connection, account.id)
            for able in resources.providers.choose_for_host(FETCH_ORGANIZATION, account.host)[:1]:
                await save_attempt(connection, able.name, FETCH_ORGANIZATION, subject, error=str(error))
        return None
    account_id = await _save(resources, account, record)
    async with resources.engine.begin() as connection:
        await save_attempt(connection, provider.name, FETCH_ORGANIZATION, subject, error=None)
    await _save_sponsorships(resources, provider, account, record, account_id, execution)
    return await _merge(resources, account_id)


async def _save(resources: Resources, account: WantedAccount, record: OrganizationRecord) -> int:
    """Returns the key of the account of the name that the host answers with."""
    if record.login.lower() != account.login:
        # It is the same one under another name: what is known of the old name leads there, by the host's id.
        await save_owner(resources.engine, Owner(account.host, account.login, record.host_id, record.kind))
    owner = Owner(account.host, record.login, record.host_id, record.kind)
    stale = set(await save_owner(resources.engine, owner))
    async with resources.engine.begin() as connection:
        account_id = (await add_accounts(connection, [owner.name]))[owner.name].id
    async with resources.engine.begin() as connection:
        stale |= await save_profile(connection, account_id, record)
        if account_id != account.id:
            await date_account(connection, account.id)
        if stale:
            await plan_restamping(connection, owner.host, owner.login)
    return account_id


async def _save_sponsorships(
    resources: Resources,
    provider: Provider,
    account: WantedAccount,
    record: OrganizationRecord,
    account_id: int,
    execution: Execution,
) -> None:
    """Walk over whom it pays and who pays it, where its host tells; what is not told any more is over."""
    may = isinstance(provider.settings, TokenSettings) and bool(provider.settings.token)
    if FETCH_SPONSORSHIPS not in provider.capabilities or not may or (record.sponsors, record.sponsoring) == (0, 0):
        return
    cursor, complete = None, True
    seen: set[tuple[int, int]] = set()
    for _ in range(MAX_SPONSORSHIP_PAGES):
        context = resources.context(provider, on_demand=execution.queue == "high")
        try:
            page = await provider.fetch_sponsorships(context, account.host, record.login, cursor)
        except (CredentialsRejected, NotFound, InvalidResponse, ProviderFailed) as error:
            context.log.info("sponsorships.unknown", login=record.login, error=str(error))
            return
        names = {(item.host, login.lower()) for item in page.items for login in (item.sponsor, item.maintainer)}
        async with resources.engine.begin() as connection:
            ids = await add_accounts(connection, names)
            seen |= await save_sponsorships(connection, provider.name, page.items, ids)
        cursor, complete = page.next_cursor, complete and page.complete
        if cursor is None:
            break
    if cursor is None and complete:
        async with resources.engine.begin() as connection:
            await end_sponsorships(connection, provider.name, account_id, seen)


async def _merge(resources: Resources, account_id: int) -> int:
    async with resources.engine.begin() as connection:
        same = await list_same_domain(connection, account_id)
    merged = 0
    for absorbed_id, into_id, detail in same:
        try:
            async with resources.engine.begin() as connection:
                done = await merge_organizations(connection, absorbed_id, into_id, "verified_domain", detail)
                merged += done is not None
        except TooMuchAtOnce as error:
            log.warning("organizations.not_merged", detail=detail, error=str(error))
    return merged
