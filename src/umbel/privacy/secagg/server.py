"""The server's side of a secure aggregation: four steps, without I/O. It sees keys, sealed shares and masked inputs, and at the end the sum."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from umbel.errors import SecureAggregationFailed
from umbel.privacy.secagg import shamir
from umbel.privacy.secagg.keys import KEY_BYTES, add_mask, agree, key_pair, subtract_mask
from umbel.privacy.secagg.messages import PublicKeys, Question, Shares, digest
from umbel.privacy.secagg.parameters import Parameters, neighbourhoods

_REPEAT = "Repeat the round, or raise dropout_tolerance if nodes often drop out."
_NO_MOD = "Check that secaggplus_mod is among the mods of the ClientApp."
_SHOWN = 8  # nodes that an error names


class ServerSession:
    """One secure sum. Each step takes what came of the nodes, and gives what goes to them next; who is not in it has dropped out.

    Each step raises SecureAggregationFailed as soon as too few are left.
    """

    def __init__(self, session: bytes, parameters: Parameters) -> None:
        """`session` is drawn for each sum."""
        self.session = session
        self.parameters = parameters
        self.refused: dict[int, str] = {}  # whose answer was not used in the last step, and why
        self._keys: dict[int, PublicKeys] = {}
        self._holders: dict[int, list[int]] = {}  # of each node's shares: its neighbourhood
        self._shares: dict[int, Shares] = {}
        self._present: set[int] = set()

    def publish(self, keys: Mapping[int, PublicKeys]) -> dict[int, dict[int, PublicKeys]]:
        """SETUP is over: the graph of the nodes that sent keys, as the keys of each node's neighbours."""
        self._enough(keys, "send their keys")
        self._keys = dict(keys)
        self._holders = neighbourhoods(list(keys), self.parameters.num_shares)
        return {node: {peer: keys[peer] for peer in self._peers(node)} for node in keys}

    def route(self, shares: Mapping[int, Shares]) -> dict[int, dict[int, bytes]]:
        """SHARE is over: for each node that shared, what its neighbours that shared too have sealed for it."""
        self.refused = {
            node: "Its shares are not the requested ones." for node in shares if not self._complete(node, shares[node])
        }
        self._shares = {node: given for node, given in shares.items() if node not in self.refused}
        self._enough(self._shares, "share their secrets")
        self._each_held_by(self._shares, self._shares, "share their secrets")
        return {
            node: {peer: self._shares[peer].sealed[node] for peer in self._peers(node) if peer in self._shares}
            for node in self._shares
        }

    def ask(self, present: Collection[int]) -> dict[int, Question]:
        """MASK is over, with inputs of the `present` nodes: what each of them has to reveal."""
        self._present = set(present)
        self._enough(self._present, "send their inputs")
        self._each_held_by(self._needed(), self._present, "send their inputs")
        gone = set(self._gone())
        return {
            node: Question(
                tuple(other for other in self._holders[node] if other in self._present),
                tuple(other for other in self._peers(node) if other in gone),
            )
            for node in sorted(self._present)
        }

    def unmask(self, revealed: Mapping[int, Mapping[int, bytes]], total: NDArray[Any]) -> None:
        """UNMASK is over: take the masks off `total`, the sum of the present nodes' inputs, in place.

        A share that is not the one its owner gave to that node is left out, and named in `refused`. When too few are left, `total` stays as it is: masked.
        """
        self.refused = {}
        genuine = {node: self._genuine(node, shares) for node, shares in revealed.items() if node in self._present}
        needed = self._needed()
        self._each_held_by(needed, genuine, "help unmask the sum", lambda holder, owner: owner in genuine[holder])
        secrets = {owner: self._join(owner, genuine) for owner in needed}  # all, before any mask is taken off
        pairwise = [mask for owner in self._gone() for mask in self._pairwise(owner, secrets[owner])]
        for owner in self._present:
            subtract_mask(total, secrets[owner])
        for take_off, seed in pairwise:
            take_off(total, seed)

    def _pairwise(self, gone: int, private: bytes) -> Iterator[tuple[Callable[[NDArray[Any], bytes], None], bytes]]:
        """The masks that the peers of a node that is gone have shared with it, and how each is taken off."""
        pair = key_pair(private)
        if pair.public != self._keys[gone].masking:
            raise SecureAggregationFailed(
                f"The shares of node {gone} do not match its key, so the sum cannot be computed."
            )
        for peer in self._peers(gone):
            if peer in self._present:
                seed = agree(pair, self._keys[peer].masking, self.session, b"mask")
                yield subtract_mask if peer < gone else add_mask, seed  # the opposite of what the peer did

    def _join(self, owner: int, genuine: Mapping[int, Mapping[int, bytes]]) -> bytes:
        holders = [holder for holder in self._holders[owner] if owner in genuine.get(holder, {})]
        places = {
            self._holders[owner].index(holder): genuine[holder][owner]
            for holder in holders[: self.parameters.threshold]
        }
        try:
            return shamir.join(places, KEY_BYTES)
        except ValueError as error:
            raise SecureAggregationFailed(
                f"The shares distributed by node {owner} are inconsistent, so the sum cannot be computed."
            ) from error

    def _genuine(self, holder: int, shares: Mapping[int, bytes]) -> dict[int, bytes]:
        good = {}
        for owner, share in shares.items():
            if owner in self._shares and self._is_genuine(holder, owner, share):
                good[owner] = share
            else:
                self.refused[holder] = f"The share of node {owner} that it revealed is not the one it received."
        return good

    def _is_genuine(self, holder: int, owner: int, share: bytes) -> bool:
        expected = self._shares[owner].digests.get(holder, b"")
        found = digest(self.session, owner, holder, share, share)
        return expected[:32] == found[:32] if owner in self._present else expected[32:] == found[32:]

    def _complete(self, node: int, shares: Shares) -> bool:
        holders = self._holders.get(node, [])
        return shares.digests.keys() == {*holders} and shares.sealed.keys() == {*holders} - {node}

    def _peers(self, node: int) -> list[int]:
        return [peer for peer in self._holders[node] if peer != node]

    def _gone(self) -> list[int]:
        """Those whose pairwise masks are in the sum without their inputs."""
        return [
            node
            for node in self._shares
            if node not in self._present and self._present.intersection(self._holders[node])
        ]

    def _needed(self) -> list[int]:
        return [*sorted(self._present), *self._gone()]

    def _enough(self, nodes: Collection[int], what: str) -> None:
        needed = max(self.parameters.threshold, self.parameters.fewest)
        if len(nodes) < needed:
            raise self._failed(f"{needed} nodes must {what}, but only {len(nodes)} did", nodes)

    def _each_held_by(
        self,
        owners: Iterable[int],
        holders: Collection[int],
        what: str,
        holds: Callable[[int, int], bool] | None = None,
    ) -> None:
        for owner in owners:
            there = [h for h in self._holders[owner] if h in holders and (holds is None or holds(h, owner))]
            if len(there) < self.parameters.threshold:
                threshold = self.parameters.threshold
                raise self._failed(
                    f"{threshold} nodes with a share of node {owner} must {what}, but only {len(there)} did",
                    holders,
                )

    def _failed(self, reason: str, there: Collection[int]) -> SecureAggregationFailed:
        missing = sorted({*self._keys} - {*there})
        named = ", ".join(map(str, missing[:_SHOWN])) + (" …" if len(missing) > _SHOWN else "")
        return SecureAggregationFailed(
            f"Secure aggregation failed: {reason}{f' (missing: {named})' if named else ''}.",
            hint=_NO_MOD if not self._keys else _REPEAT,
        )
