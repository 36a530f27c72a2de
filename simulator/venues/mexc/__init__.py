"""MEXC, pretended: spot in protobuf frames, perpetuals in JSON, REST answers of both."""
