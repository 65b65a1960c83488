"""How the IBM MQ adapter uses MQ: the real `ibmmq` over a stand-in of IBM's library, which says nothing about how MQ behaves."""

import importlib.util
import sys
from collections.abc import Iterator

import pytest

from kvitt.errors import QueueClientMissing
from kvitt.kernel.queue import Outgoing
from kvitt.transports.queue.mq_queue import (
    MqQueue,
    MqReplyTo,
    MqServer,
    mq_id,
    reply_to,
)
from support.mq_stand_in import QueueManager, ibmmq_on_a_stand_in

SERVER = MqServer("mq.example", 1414, "QM1", "KVITT.SVRCONN", "kvitt", "secret", "TLS_AES_256_GCM_SHA384", "/keys/kvitt")
ORDER_ID = "0e8b3c1e-5d0a-5f43-9d7b-0c9a4f6d2b11"


@pytest.fixture
def manager() -> Iterator[QueueManager]:
    with ibmmq_on_a_stand_in() as stand_in:
        yield stand_in


def stored(manager: QueueManager, queue: str) -> list[bytes]:
    return [body for _, body in manager.queues[queue]]


def test_what_is_put_is_persistent_text_with_our_ids_and_no_jms_header(manager: QueueManager) -> None:
    import ibmmq

    body = b"<oppdrag/>\xff"
    MqQueue(SERVER, "ORDERS").put([Outgoing(ORDER_ID, body, "queue://QM2/ANSWERS?targetClient=1", 7)])
    ((packed, put),) = manager.queues["ORDERS"]
    descriptor = ibmmq.MD()
    descriptor.unpack(packed)
    assert put == body
    assert descriptor.Format == b"MQSTR   "
    assert (descriptor.CodedCharSetId, descriptor.Persistence, descriptor.Priority) == (1208, ibmmq.CMQC.MQPER_PERSISTENT, 7)
    assert descriptor.MsgId == descriptor.CorrelId == bytes.fromhex(ORDER_ID.replace("-", "")) + bytes(8)
    assert (descriptor.ReplyToQ.rstrip(b"\0 "), descriptor.ReplyToQMgr.rstrip(b"\0 ")) == (b"ANSWERS", b"QM2")
    assert manager.put_options[0] & ibmmq.CMQC.MQPMO_SYNCPOINT
    assert not manager.put_options[0] & ibmmq.CMQC.MQPMO_NEW_MSG_ID


def test_a_deliberate_resend_has_a_message_id_of_its_own_and_correlates_with_its_order(manager: QueueManager) -> None:
    import ibmmq

    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing(ORDER_ID, b"1"), Outgoing(ORDER_ID, b"1", resend=1), Outgoing(ORDER_ID, b"1", resend=2)])
    descriptors = [ibmmq.MD() for _ in manager.queues["ORDERS"]]
    for descriptor, (packed, _) in zip(descriptors, manager.queues["ORDERS"], strict=True):
        descriptor.unpack(packed)
    order = bytes.fromhex(ORDER_ID.replace("-", ""))
    assert [each.MsgId for each in descriptors] == [order + bytes(7) + bytes([resend]) for resend in range(3)]
    assert {each.CorrelId for each in descriptors} == {order + bytes(8)}


def test_a_batch_of_which_one_fails_is_not_put_at_all(manager: QueueManager) -> None:
    import ibmmq

    queue = MqQueue(SERVER, "ORDERS")
    accept = sys.modules["ibmmq.ibmmqc"].MQPUT

    def refuse_the_second(*call: object) -> tuple[object, ...]:
        return accept(*call) if len(manager.put_options) < 1 else (call[2], call[3], 2, ibmmq.CMQC.MQRC_Q_FULL)

    sys.modules["ibmmq.ibmmqc"].MQPUT = refuse_the_second  # type: ignore[attr-defined]
    with pytest.raises(ibmmq.MQMIError):
        queue.put([Outgoing("a", b"1"), Outgoing("b", b"2")])
    assert stored(manager, "ORDERS") == []


def test_messages_are_got_under_syncpoint_converted_and_without_properties(manager: QueueManager) -> None:
    import ibmmq

    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing(ORDER_ID, b"1", "ANSWERS", 3), Outgoing("b", b"2")])
    first, second = queue.receive(10, 0.1)
    assert (first.message_id, first.body, first.reply_to, first.priority, first.redeliveries) == (
        mq_id(ORDER_ID).hex(), b"1", "queue:///ANSWERS", 3, 0,
    )  # fmt: skip
    assert (second.body, second.reply_to) == (b"2", "")
    wanted = ibmmq.CMQC.MQGMO_SYNCPOINT | ibmmq.CMQC.MQGMO_CONVERT | ibmmq.CMQC.MQGMO_NO_PROPERTIES
    assert all(options & wanted == wanted for options in manager.get_options)


def test_a_body_larger_than_the_first_buffer_arrives_whole(manager: QueueManager) -> None:
    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing("big", b"x" * 3_000_000)])
    assert [len(got.body) for got in queue.receive(1, 0)] == [3_000_000]


def test_acknowledge_commits_and_release_backs_out_and_counts(manager: QueueManager) -> None:
    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing("a", b"1"), Outgoing("b", b"2")])
    queue.receive(1, 0)
    queue.acknowledge()
    assert [got.redeliveries for got in queue.receive(5, 0)] == [0]
    queue.release()
    assert [got.redeliveries for got in queue.receive(5, 0)] == [1]


def test_putting_while_messages_are_held_does_not_acknowledge_them(manager: QueueManager) -> None:
    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing("a", b"1")])
    queue.receive(1, 0)
    queue.put([Outgoing("b", b"2")])
    queue.release()
    assert stored(manager, "ORDERS") == [b"1", b"2"]


def test_closing_does_not_commit_what_is_held(manager: QueueManager) -> None:
    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing("a", b"1")])
    queue.receive(1, 0)
    queue.close()
    assert stored(manager, "ORDERS") == [b"1"]


def test_a_message_backed_out_too_often_goes_to_the_dead_letter_queue_alone(manager: QueueManager) -> None:
    queue = MqQueue(SERVER, "ORDERS", max_redeliveries=2)
    queue.put([Outgoing("poison", b"bad", "ANSWERS")])
    counts = []
    while got := queue.receive(5, 0):
        counts.append(got[0].redeliveries)
        queue.release()
    queue.put([Outgoing("good", b"good")])
    assert counts == [0, 1, 2]
    assert [delivery.body for delivery in queue.receive(5, 0)] == [b"good"]
    assert [(delivery.body, delivery.reply_to) for delivery in MqQueue(SERVER, "ORDERS.DLQ").receive(5, 0)] == [
        (b"bad", "queue:///ANSWERS")
    ]


def test_a_broken_connection_is_said_and_the_next_call_connects_anew(manager: QueueManager) -> None:
    queue = MqQueue(SERVER, "ORDERS")
    queue.put([Outgoing("a", b"1")])
    queue.receive(1, 0)
    manager.end_connections()
    with pytest.raises(ConnectionError):
        queue.acknowledge()
    with pytest.raises(ConnectionError):
        queue.receive(1, 0)
    manager.broken = False
    assert [got.redeliveries for got in queue.receive(1, 0)] == [1]


def test_the_connection_names_channel_address_cipher_and_user(manager: QueueManager) -> None:
    import ibmmq

    MqQueue(SERVER, "ORDERS").put([Outgoing("a", b"1")])
    name, _, channel, credentials, _, _ = manager.connections[0]
    described = ibmmq.CD()
    described.unpack(channel)
    assert name == b"QM1"
    assert described.ChannelName.rstrip(b"\0 ") == b"KVITT.SVRCONN"
    assert described.ConnectionName.rstrip(b"\0 ") == b"mq.example(1414)"
    assert described.SSLCipherSpec.rstrip(b"\0 ") == b"TLS_AES_256_GCM_SHA384"
    assert credentials is not None


def test_the_queue_manager_cannot_tell_what_was_put(manager: QueueManager) -> None:
    assert MqQueue(SERVER, "ORDERS").was_put(["a"]) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", MqReplyTo("")),
        ("ANSWERS", MqReplyTo("ANSWERS")),
        ("queue:///ANSWERS", MqReplyTo("ANSWERS")),
        ("queue:///ANSWERS?targetClient=1", MqReplyTo("ANSWERS")),
        ("queue://QM2/ANSWERS?targetClient=1&persistence=2", MqReplyTo("ANSWERS", "QM2")),
    ],
)
def test_a_reply_queue_is_read_in_each_of_its_forms(text: str, meant: MqReplyTo) -> None:
    assert reply_to(text) == meant


def test_other_ids_than_uuids_have_24_bytes_of_their_own() -> None:
    assert len(mq_id("a")) == len(mq_id("ø" * 100)) == 24
    assert mq_id("a") == mq_id("a") != mq_id("b")


def test_without_the_client_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert importlib.util.find_spec("ibmmq") is None
    with pytest.raises(QueueClientMissing, match="ibmmq"):
        MqQueue(SERVER, "ORDERS")
