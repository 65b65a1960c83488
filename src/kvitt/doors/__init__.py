"""The ways in and out (Kafka, REST, Thrift RPC, the embedded log): translate with wire/, call hub/."""
