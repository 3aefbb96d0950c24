"""Sub-trees that an array has no more: their nodes go back to the pool one by one, each under the undo record."""

from pagexchange.oracle.format import HEADER, POOL, XANODE
from pagexchange.oracle.recovery.change import Change
from pagexchange.oracle.recovery.image import Record, is_node
from pagexchange.oracle.trees import NODE_BIAS


def give_subtrees(record: Record) -> None:
    """Ends what the slot's `drop` begins; of a damaged list the rest is lost. The structure lock is the slot's."""
    image, change = record.image, Change(record)
    nodes, pool = image.raw.xanodes, image.raw.header["xanodes"]
    while first := record["drop"]:
        node = nodes[first - 1] if first <= len(nodes) else None
        if node is None or not node["used"] or node["array"]:
            record.store("drop", 0)
            return
        change.put_own("drop", int(node["next"]))
        for child in _children(record, first - 1):
            image.store(nodes["next"], child, record["drop"])  # the link of a node in a tree means nothing: not saved
            change.put("xanodes", child, XANODE, "array", 0)
            change.put_own("drop", child + 1)
        change.put("xanodes", first - 1, XANODE, "used", 0)
        image.store(nodes["next"], first - 1, int(pool["free_head"]))
        where = int(HEADER.fields["xanodes"][1])  # type: ignore[index]
        for name, value in (("free_head", first), ("free", int(pool["free"]) + 1)):
            change.put_at(where + int(POOL.fields[name][1]), 4, value)  # type: ignore[index]
        change.commit()


def _children(record: Record, number: int) -> list[int]:
    """The nodes right below one that was dropped: they are of the array still."""
    nodes, tree = record.image.raw.xanodes, record["tree"]
    found = []
    for entry in nodes["slot"][number].tolist():
        child = (entry >> 2) - NODE_BIAS
        if not is_node(entry) or child >= len(nodes):
            continue
        row = nodes[child]
        if row["used"] and int(row["array"]) == tree and int(row["shift"]) == int(nodes["shift"][number]) - 6:
            found.append(child)
    return found
