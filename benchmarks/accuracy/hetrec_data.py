"""HetRec 2011 Last.fm as bags: which artists a listener played, and what others say of the artists.

Interactions are the canonical table of `segue import hetrec`. Its tags are sums over listeners, so the taggings come
from the published file: one counts only where its listener has no interaction with that artist. So nothing that a
listener says of an artist ever stands in the content with which that artist is ranked for that listener, be the pair in
training, validation or test.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from features.importers.base import artist_id
from recsys.content import ContentLayout
from recsys.dataset import Sequences
from recsys.files import fingerprint, sha256
from recsys.ragged import Float32, Int64, Ragged
from recsys.workspace import Workspace

MIN_ARTISTS = 3
"""A tag of fewer artists says nothing of any other."""
PAIR = ["user_id", "item_id"]


@dataclass(frozen=True, eq=False)
class HetRec:
    """listeners: bags of artists, the most played last; tags: float32 CSR (n_items, t), listeners who gave each tag."""

    listeners: Sequences
    ids: list[str]
    tags: sparse.csr_matrix
    fingerprint: str

    @property
    def n_items(self) -> int:
        return self.listeners.n_items

    def counts(self, train: Sequences) -> Int64:
        """(n_items,) listeners of each artist in the training part."""
        return np.bincount(train.items.values, minlength=self.n_items)


def load(workspace: Workspace, published: Path) -> HetRec:
    """published: the folder of the set's files, which the workspace has imported."""
    plays = (
        workspace.table("interactions", ["hetrec"])
        .filter(pl.col("item_type") == "artist")
        .group_by(PAIR)
        .agg(pl.col("weight").sum())
        .collect()
    )
    items = plays.group_by("item_id").len().sort(["len", "item_id"], descending=[True, False])
    items = items.select("item_id", index=pl.int_range(pl.len(), dtype=pl.Int32))
    rows = plays.join(items, on="item_id").sort("user_id", "weight", "index")
    lengths = rows.group_by("user_id", maintain_order=True).len()["len"]
    bags = Ragged.from_lengths(rows["index"].to_numpy(), lengths.to_numpy())
    tags = _taggings(published).join(plays, on=PAIR, how="anti")
    counted = tags.join(items, on="item_id").group_by("index", "tag").agg(pl.col("user_id").n_unique().alias("count"))
    kept = counted.group_by("tag").len().filter(pl.col("len") >= MIN_ARTISTS).sort("tag")
    cells = counted.join(kept.select("tag", code=pl.int_range(pl.len())), on="tag").sort("index", "code")
    matrix = sparse.csr_matrix(
        (cells["count"].to_numpy().astype(np.float32), (cells["index"].to_numpy(), cells["code"].to_numpy())),
        shape=(len(items), len(kept)),
    )
    (folder,) = workspace.import_folders(["hetrec"])
    parts = {"import": folder.name, "tags": sha256(published / "user_taggedartists.dat"), "least": MIN_ARTISTS}
    listeners = Sequences(bags, np.arange(len(bags)), None, len(items))
    return HetRec(listeners, items["item_id"].to_list(), matrix, fingerprint(parts))


def tf_idf(tags: sparse.csr_matrix, known: Int64) -> sparse.csr_matrix:
    """Rows of length 1; frequencies of tags are counted over the artists ``known``, which are not hidden."""
    weigh = TfidfTransformer(sublinear_tf=True).fit(tags[known])
    return sparse.csr_matrix(weigh.transform(tags), dtype=np.float32)


def tag_vectors(weighed: sparse.csr_matrix, known: Int64, size: int) -> tuple[ContentLayout, Float32]:
    """The tags as ``size`` numbers (latent semantic analysis, fitted on ``known``), laid out for a network."""
    analysis = TruncatedSVD(size, random_state=0).fit(weighed[known])
    vectors = analysis.transform(weighed).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    layout = ContentLayout(embedding=size, embedding_encoder="hetrec tags, LSA")
    return layout, np.hstack([vectors / np.maximum(lengths, 1e-12), lengths > 0], dtype=np.float32)


def _taggings(published: Path) -> pl.DataFrame:
    """user_id, item_id, tag: one row a listener, artist and tag, the ids as the importer makes them."""

    def read(name: str, encoding: str = "utf8") -> pl.DataFrame:
        return pl.read_csv(published / name, separator="\t", quote_char=None, encoding=encoding)

    artists = read("artists.dat").select(pl.col("id").alias("artistID"), item_id=artist_id(pl.col("name")))
    words = read("tags.dat", "latin-1").select("tagID", tag=pl.col("tagValue").str.strip_chars().str.to_lowercase())
    given = read("user_taggedartists.dat").join(artists, on="artistID").join(words, on="tagID")
    return given.select(pl.format("hetrec:{}", "userID").alias("user_id"), "item_id", "tag").unique()
