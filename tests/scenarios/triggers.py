"""What starts a rotation, and what each kind does: by annotation, by command, by its end, by a brought Secret."""

import subprocess
import time
from datetime import UTC, datetime, timedelta

from tests.scenarios.stage import rotation, scenario
from tests.support.certificates import a_root, an_intermediate, ec_key
from tests.support.operator import EXECUTABLE, SYSTEM, Object, Site, condition, fresh
from tests.support.rotation import Rotation, certificates, entry, fingerprint, seen, steadily

from anchorline.kube.objects import encoded
from anchorline.pki import Issuer


def anchorline(site: Site, *arguments: str) -> str:
    """Run our command as an administrator; what it prints."""
    command = [str(EXECUTABLE), *arguments, f"--kubeconfig={site.plane.kubeconfig}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@scenario
def by_annotation(site: Site) -> None:
    """All four phases, the bridge served in between, the old key gone, the reason recorded; never again for it."""
    with rotation(site) as case:
        before = case.roots()
        case.annotate(rotate="a drill")
        case.until("Distributing Active")
        assert case.chain_lengths() == {2}, "nothing is served under a root before it is everywhere"
        case.until("Active Retiring")
        assert case.chain_lengths() == {3}, "the bridge ends the served chain"
        case.ended()
        status = case.ca["status"]["generations"]
        assert [each["cause"] for each in status] == ["rotate: a drill", "first root of this CA"]
        assert case.roots()[1] == before[1], "the retired root's record is the root that it was"
        assert "tls.key" not in case.secrets("retired")[f"{case.name}-retired-1"]["data"]
        _never_twice(case)


def _never_twice(case: Rotation) -> None:
    case.annotate(rotate=None)
    case.annotate(rotate="a drill")
    steadily(lambda: set(case.phases) == {1, 2}, "the same reason never rotates twice", 3)


@scenario
def by_command(site: Site) -> None:
    with rotation(site) as case:
        said = anchorline(site, "rotate", case.name, "--reason=quarterly")
        assert "no handshake fails" in said
        case.until("Distributing Active")
        assert "2" in anchorline(site, "plan", "rotation", case.name)
        case.ended()
        assert case.ca["status"]["generations"][0]["cause"] == "rotate: quarterly"


@scenario
def before_its_end(site: Site) -> None:
    """A root of an hour, replaced a few seconds after it was made because its renewBefore is that long."""
    root = {"validity": "1h", "renewBefore": "3585s"}
    with rotation(site, root=root, intermediate={"validity": "1h"}) as case:
        case.until("Distributing Active")
        case.put(root={"validity": "1h", "renewBefore": "60s"})
        case.ended()
        assert case.ca["status"]["generations"][0]["cause"].startswith("its end")


@scenario
def by_a_brought_secret(site: Site) -> None:
    """A new root beside the old one; without the old key there is no bridge, which is said."""
    name = fresh("brought")
    _bring(site, name, _brought_root("Brought A", 31))
    with rotation(site, subject=None, root={"source": "Secret", "secretName": name}) as case:
        assert f"once it is in Secret {name}" in anchorline(site, "rotate", case.name, "--reason=ours is old")
        case.until_says("another root was asked for (ours is old)", name)
        _replaced(site, case, name, _brought_root("Brought B", 32))


@scenario
def by_a_brought_intermediate(site: Site) -> None:
    """Another intermediate under another root: the old key is gone, so nobody signs until all trust the new root."""
    name = fresh("brought")
    _bring(site, name, *_brought_intermediate("Brought C", 33))
    with rotation(site, subject=None, root={"source": "Secret", "secretName": name}) as case:
        _replaced(site, case, name, *_brought_intermediate("Brought D", 35))


def _replaced(site: Site, case: Rotation, name: str, *issuers: Issuer) -> None:
    """What is in a brought Secret is replaced, and so is the root."""
    old = case.roots()[1]
    _bring(site, name, *issuers)
    case.until("Distributing Active")
    seen(lambda: all(len(case.store(each)) == 2 for each in case.namespaces), "both roots in every store")
    assert case.roots()[1] == old
    assert "without a bridge" in case.says, case.says
    case.until("Active Retiring")
    assert case.chain_lengths() == {2}
    case.ended()
    site.api.delete("Secret", name, SYSTEM)


def _brought_root(common_name: str, number: int) -> Issuer:
    now = datetime.fromtimestamp(int(time.time()), UTC)
    ends = now + timedelta(days=9)
    return a_root(common_name, ec_key(number), not_before=now - timedelta(hours=1), not_after=ends)


def _brought_intermediate(common_name: str, number: int) -> tuple[Issuer, Issuer]:
    """An intermediate and the root above it."""
    root = _brought_root(common_name, number)
    below = ec_key(number + 1)
    life = {"not_before": root.certificate.not_before, "not_after": root.certificate.not_after}
    return an_intermediate(root, f"{common_name} Intermediate", below, **life), root


def _bring(site: Site, name: str, *issuers: Issuer) -> None:
    """Put a chain into a Secret, with the key of its first certificate."""
    chain = b"".join(each.certificate.pem for each in issuers)
    data = encoded(**{"tls.crt": chain, "tls.key": issuers[0].key.to_pem()})
    site.api.apply({"kind": "Secret", "metadata": {"name": name, "namespace": SYSTEM}, "data": data})


@scenario
def compromised(site: Site) -> None:
    """No bridge, no patience: the old root goes as soon as nobody serves what is under it, and is remembered."""
    with rotation(site, rotation={"overlap": "1h", "reissueOver": "1h"}) as case:
        asked = time.monotonic()
        anchorline(site, "rotate", case.name, "--reason=stolen laptop", "--compromised")
        case.until("Active Retired", seconds=40)
        case.ended()
        print(f"compromised: no store held the old root after {time.monotonic() - asked:.1f} s")
        assert case.ca["status"]["generations"][0]["cause"] == "compromised: stolen laptop"
        assert case.chain_lengths() == {2}
        case.annotate(compromised=None)
        case.annotate(compromised="stolen laptop")
        steadily(lambda: set(case.phases) == {1, 2}, "the same reason never rotates twice", 3)


@scenario
def compromised_in_the_middle(site: Site) -> None:
    """A key is stolen while a rotation runs: what was coming is on its way out too."""
    with rotation(site) as case:
        case.annotate(rotate="ordinary")
        case.until("Active Retiring")
        case.annotate(compromised="stolen")
        case.ended(generation=3)
        assert [each["cause"] for each in case.ca["status"]["generations"]][:2] == [
            "compromised: stolen",
            "rotate: ordinary",
        ]


@scenario
def paused(site: Site) -> None:
    """It stands still in each phase, renews what is due all the same, and goes on."""
    with rotation(site) as case:
        case.annotate(rotate="in steps")
        for phases in ("Distributing Active", "Active Active", "Active Retiring"):
            case.until(phases)
            case.put(rotation={"paused": True})
            case.until_says("spec.rotation.paused to be taken back")
            stood = case.phases
            steadily(lambda stood=stood: case.phases == stood, f"{phases}: it stands still", 3)  # type: ignore[misc]
            case.put(rotation={"paused": False, "reissueOver": "4s"})
        case.ended()


@scenario
def a_second_trigger(site: Site) -> None:
    """What is asked for in the middle waits for its turn, and is not forgotten."""
    with rotation(site) as case:
        case.annotate(rotate="first")
        case.until("Distributing Active")
        case.annotate(rotate="second")
        case.until_says("a rotation follows", "second")
        assert set(case.phases) == {1, 2}
        case.until("Active Retiring")
        assert set(case.phases) == {1, 2}
        case.until("Distributing Active Retired")
        assert case.ca["status"]["generations"][0]["cause"] == "rotate: second"


@scenario
def two_in_shared_stores(site: Site) -> None:
    """Two CAs rotate at the same time; each namespace trusts both."""
    with rotation(site) as one, rotation(site, namespaces=0) as other:
        other.namespace(trust=f"{one.name},{other.name}")
        other.ready()
        one.annotate(rotate="together")
        other.annotate(rotate="together")
        one.ended()
        other.until("Active Retired")
        seen(lambda: len(other.store(other.namespaces[0])) == 2, "one root of each in the shared store")


def roots_in(secret: Object) -> list[str]:
    """Fingerprints of what a leaf's Secret trusts."""
    return [fingerprint(each) for each in certificates(entry(secret, "ca.crt"))]


def reason_of(case: Rotation) -> str:
    """The reason of the condition Rotating."""
    return str(condition(case.ca, "Rotating").get("reason"))
