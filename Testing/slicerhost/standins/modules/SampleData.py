"""Stand-in for Slicer's module SampleData: sources can be registered and loaded; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer


class SampleDataSource:
    """One data set of the Sample Data module; the parameters are Slicer's."""

    def __init__(
        self,
        sampleName: str | None = None,
        sampleDescription: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        checksums: Any = None,
        loadFiles: Any = None,
        customDownloader: Callable[..., Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileType: Any = None,
        loadFileProperties: Any = None,
    ) -> None:
        self.sampleName, self.sampleDescription = sampleName, sampleDescription
        self.uris, self.fileNames, self.nodeNames = _list(uris), _list(fileNames), _list(nodeNames)
        self.checksums, self.loadFiles = _list(checksums), loadFiles
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileTypes, self.loadFileProperties = _list(loadFileType), loadFileProperties or {}
        if not len(self.uris) == len(self.fileNames) == len(self.nodeNames):
            raise ValueError("uris, fileNames and nodeNames differ in length")


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


class SampleDataLogic:
    """Registration and loading, as far as an extension uses them."""

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **arguments: Any) -> None:
        """Add a data set to the category, as the module Sample Data would show it."""
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        sources.append(SampleDataSource(**arguments))

    @staticmethod
    def sourceForSampleName(sampleName: str) -> SampleDataSource | None:
        for sources in getattr(slicer.modules, "sampleDataSources", {}).values():
            for source in sources:
                if source.sampleName == sampleName:
                    return source
        return None

    def downloadFromSource(self, source: SampleDataSource, **_: Any) -> list[Any]:
        """Load a data set: by its own downloader, or from file: addresses."""
        if source.customDownloader:
            return [source.customDownloader(source)]
        nodes = []
        for uri, name in zip(source.uris, source.nodeNames, strict=True):
            parts = urlparse(uri)
            if parts.scheme != "file":
                raise RuntimeError(f"the test host downloads nothing: {uri}")
            nodes.append(slicer.util.loadVolume(url2pathname(parts.path), {"name": name}))
        return nodes

    def downloadSample(self, sampleName: str) -> Any:
        source = self.sourceForSampleName(sampleName)
        if source is None:
            raise ValueError(f"no sample is called {sampleName}")
        return self.downloadFromSource(source)[0]
