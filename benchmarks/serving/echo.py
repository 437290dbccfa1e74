"""A bare gRPC server that reads the same request and returns the same message: `echo.py sync|aio PORT RESPONSE`.

RESPONSE: a file with the serialised RecommendResponse. The request is parsed and a fresh message is serialised, as any
server in Python must.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from segue.v1 import recommendation_pb2 as pb

THREADS = 128


def handler(respond: object) -> grpc.GenericRpcHandler:
    method = grpc.unary_unary_rpc_method_handler(
        respond, pb.RecommendRequest.FromString, lambda message: message.SerializeToString()
    )
    return grpc.method_handlers_generic_handler("segue.v1.RecommendationService", {"Recommend": method})


def fresh(message: pb.RecommendResponse) -> pb.RecommendResponse:
    made = pb.RecommendResponse()
    made.CopyFrom(message)
    return made


def sync(port: int, message: pb.RecommendResponse) -> None:
    server = grpc.server(ThreadPoolExecutor(THREADS))
    server.add_generic_rpc_handlers((handler(lambda request, context: fresh(message)),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


async def aio(port: int, message: pb.RecommendResponse) -> None:
    async def respond(request: pb.RecommendRequest, context: object) -> pb.RecommendResponse:
        return fresh(message)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler(respond),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    kind, number, response = sys.argv[1:]
    answer = pb.RecommendResponse.FromString(Path(response).read_bytes())
    if kind == "sync":
        sync(int(number), answer)
    else:
        asyncio.run(aio(int(number), answer))
