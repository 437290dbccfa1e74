"""A client that has nothing but reflection can call every method; health answers."""

from __future__ import annotations

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

REQUESTS = {
    "Recommend": {"user_id": "anna", "limit": 3},
    "ContinuePlaylist": {"seeds": [{"name": {"artist": "Artist 0", "title": "Title 0"}}], "limit": 3},
    "SimilarTracks": {"seeds": [{"track_id": "t1"}], "limit": 3},
}


def test_every_method_by_reflection_alone(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(database)
        services = set(database.get_services())
        assert {"segue.v1.RecommendationService", "grpc.health.v1.Health"} <= services
        service = pool.FindServiceByName("segue.v1.RecommendationService")
        assert sorted(method.name for method in service.methods) == sorted(REQUESTS)
        for method in service.methods:
            request = json_format.ParseDict(REQUESTS[method.name], message_factory.GetMessageClass(method.input_type)())
            call = channel.unary_unary(
                f"/{service.full_name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            )
            answer = json_format.MessageToDict(call(request, timeout=5), preserving_proto_field_name=True)
            assert answer["bundle"] == "small"
            assert answer["request_id"]
            assert len(answer["tracks"]) == 3
            assert answer["tracks"][0]["reason"]["text"]


def test_health(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "segue.v1.RecommendationService"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
