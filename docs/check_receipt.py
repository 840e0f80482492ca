#!/usr/bin/env python3
"""Recomputes a receipt that `ferry receipt` wrote, without ferry. Needs pymongo (pip install pymongo).

Usage: check_receipt.py RECEIPT SOURCE_URI TARGET_URI
Exits with 0 where both sides are as the receipt says, 1 where they are not. The format: 48-receipt.md.
"""
import hashlib
import json
import sys

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

RAW = CodecOptions(document_class=RawBSONDocument)


def documents(client, namespace):
    """Counts a collection, and adds up the SHA-256 of each document's BSON, modulo 2 to the power of 256."""
    database, _, collection = namespace.partition(".")
    found = client[database].get_collection(collection, codec_options=RAW, read_concern=ReadConcern("majority"))
    count = total = 0
    for document in found.find(batch_size=10_000):
        total += int.from_bytes(hashlib.sha256(document.raw).digest(), "big")
        count += 1
    return {"count": count, "digest": f"{total % 2**256:064x}"}


def sha256(rules):
    """Of the rules as JSON with sorted keys and no blanks."""
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def flaws(entry, source, target):
    if documents(source, entry["from"]) != entry["source"]:
        yield f"the source's {entry['from']} is not what it was"
    if documents(target, entry["to"]) != entry["target"]:
        yield f"the target's {entry['to']} is not what it was"
    if sha256(entry["rules"]) != entry["rulesSha256"]:
        yield f"the rules of {entry['route']} are not those of the receipt"
    plain = "fields" not in entry["rules"] and "where" not in entry["rules"]
    if plain and entry["rules"]["drift"]["newField"] == "pass" and entry["expected"] != entry["source"]:
        yield f"{entry['route']} changes nothing, and expects something else than the source has"
    if entry["equal"] is True and entry["expected"] != entry["target"]:
        yield f"{entry['route']} is not equal"


def main(file, source_uri, target_uri):
    with open(file, encoding="utf-8") as opened:
        receipt = json.load(opened)
    assert receipt["ferryReceipt"] == 1, "a receipt of another version"
    source, target = MongoClient(source_uri), MongoClient(target_uri)
    found = [flaw for entry in receipt["namespaces"] for flaw in flaws(entry, source, target)]
    print("\n".join(found) or f"{len(receipt['namespaces'])} namespaces are as the receipt says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
