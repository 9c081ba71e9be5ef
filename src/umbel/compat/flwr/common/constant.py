"""`flwr.common.constant`: the constants that apps read."""

from umbel.app.message import SUPERLINK_NODE_ID, ErrorCode

PARTITION_ID_KEY = "partition-id"
NUM_PARTITIONS_KEY = "num-partitions"


class MessageTypeLegacy:
    """The types of messages that only the older API sends."""

    GET_PARAMETERS = "get_parameters"
    GET_PROPERTIES = "get_properties"


__all__ = ["NUM_PARTITIONS_KEY", "PARTITION_ID_KEY", "SUPERLINK_NODE_ID", "ErrorCode", "MessageTypeLegacy"]
