"""Stand-in for Slicer's module SampleData: sources are registered and loaded, not downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer


class SampleDataSource:
    """One data set of the Sample Data module; the parameters are those of Slicer 5.10."""

    def __init__(
        self,
        sampleName: str | None = None,
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
        self.sampleName, self.sampleDescription = sampleName, sampleName
        self.uris = _list(uris)
        count = len(self.uris)
        self.fileNames, self.nodeNames = _list(fileNames, count), _list(nodeNames, count)
        self.checksums, self.loadFiles = _list(checksums, count), _list(loadFiles, count)
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileTypes, self.loadFileProperties = (
            _list(loadFileType, count),
            loadFileProperties or {},
        )
        if any(
            len(values) != count
            for values in (self.fileNames, self.nodeNames, self.checksums, self.loadFiles)
        ):
            raise ValueError("uris, fileNames, nodeNames, checksums and loadFiles differ in length")


def _list(value: Any, count: int = 1) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * count


class SampleDataLogic:
    """Registration and loading, as far as an extension uses them."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Callable[..., Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileType: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
    ) -> None:
        """Add a data set to the category, as the module Sample Data would show it.

        Raises TypeError without uris.
        """
        if uris is None:
            raise TypeError("Slicer needs uris (a text or a list), also with a customDownloader")
        files = (sampleName, uris, fileNames, nodeNames, checksums, loadFiles)
        shown = (customDownloader, thumbnailFileName, loadFileType, loadFileProperties)
        source = SampleDataSource(*files, *shown)
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if not any(vars(known) == vars(source) for known in sources):
            sources.append(source)

    def sourceForSampleName(self, sampleName: str) -> SampleDataSource | None:
        for sources in getattr(slicer.modules, "sampleDataSources", {}).values():
            for source in sources:
                if source.sampleName == sampleName:
                    return source
        return None

    def pressButton(self, sampleName: str) -> Any:
        """Only here: what the data set's button in the Sample Data module does."""
        source = self.sourceForSampleName(sampleName)
        if source is None:
            raise ValueError(f"no sample is called {sampleName}")
        return (
            source.customDownloader(source)
            if source.customDownloader
            else self.downloadFromSource(source)
        )

    def downloadFromSource(self, source: SampleDataSource, **_: Any) -> list[Any]:
        """Load a data set from file: addresses; customDownloader is for the button only."""
        nodes = []
        for uri, name, kind in zip(
            source.uris, source.nodeNames, source.loadFileTypes, strict=True
        ):
            parts = urlparse(str(uri))
            if parts.scheme != "file":
                raise RuntimeError(f"the test host downloads nothing: {uri}")
            properties = {**source.loadFileProperties, "name": name}
            nodes.append(
                slicer.util.loadNodeFromFile(
                    url2pathname(parts.path), kind or "VolumeFile", properties
                )
            )
        return nodes

    def downloadSamples(self, sampleName: str) -> list[Any]:
        source = self.sourceForSampleName(sampleName)
        return self.downloadFromSource(source) if source else []

    def downloadSample(self, sampleName: str) -> Any:
        return self.downloadSamples(sampleName)[0]
