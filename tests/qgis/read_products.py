"""Say, as JSON, what QGIS makes of a folder of products. Run by the Python that has PyQGIS.

Arguments: the folder, a JSON list of points [lon, lat] to read, and optionally a month to draw.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsInterval,
    QgsLayoutExporter,
    QgsLayoutItem,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsTemporalNavigationObject,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize


def slider_steps(project):
    """The steps the time slider takes, by their month."""
    slider = QgsTemporalNavigationObject()
    slider.setTemporalExtents(project.timeSettings().temporalRange())
    unit = project.timeSettings().timeStepUnit()
    slider.setFrameDuration(QgsInterval(project.timeSettings().timeStep(), unit))
    steps = [slider.dateTimeRangeForFrameNumber(n) for n in range(slider.totalFrameCount())]
    return {step.begin().toString("yyyy-MM"): step for step in steps}


def describe_raster(layer, points):
    provider, renderer = layer.dataProvider(), layer.renderer()
    box = layer.extent()
    found = {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        "bands": [layer.bandName(b + 1) for b in range(layer.bandCount())],
        "renderer": renderer.type(),
        "values": [
            [provider.sample(QgsPointXY(*p), b + 1)[0] for b in range(layer.bandCount())]
            for p in points
        ],
    }
    if renderer.type() == "singlebandpseudocolor":
        found["band"] = renderer.band()
        found["range"] = [renderer.classificationMin(), renderer.classificationMax()]
        statistics = provider.bandStatistics(1)
        found["statistics"] = [statistics.minimumValue, statistics.maximumValue]
    else:
        found["classes"] = {c.value: c.label for c in renderer.classes()}
    return found


def render(layers, box, picture, window):
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setExtent(box)
    settings.setDestinationCrs(layers[0].crs())
    settings.setOutputSize(QSize(900, 500))
    settings.setIsTemporal(True)
    settings.setTemporalRange(window)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(picture))


def shown_by_themes(project):
    themes = project.mapThemeCollection()
    return {
        name: [layer.name() for layer in themes.mapThemeVisibleLayers(name)]
        for name in themes.mapThemes()
    }


def pages(project, folder):
    found = {}
    for layout in project.layoutManager().layouts():
        items = [item for item in layout.items() if isinstance(item, QgsLayoutItem)]
        found[layout.name()] = sorted(item.id() for item in items)
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = 100
        path = str(folder / f"{layout.name()}.png")
        assert QgsLayoutExporter(layout).exportToImage(path, settings) == 0
    return found


def main(folder, points):
    found = {"rasters": {}, "vectors": {}}
    for path in sorted(folder.glob("*.tif")):
        found["rasters"][path.name] = describe_raster(QgsRasterLayer(str(path), path.stem), points)
    found["netcdf"] = QgsRasterLayer(f'NETCDF:"{folder}/flux.nc":flux', "flux").isValid()
    container = QgsVectorLayer(str(folder / "context.gpkg"))
    for layer in container.dataProvider().subLayers():
        name = layer.split("!!::!!")[1]
        vector = QgsVectorLayer(f"{folder}/context.gpkg|layername={name}", name)
        found["vectors"][name] = [vector.isValid(), vector.featureCount()]
    project = QgsProject.instance()
    found["opened"] = project.read(str(folder / "narcf.qgz"))
    layers = list(project.mapLayers().values())
    temporal = [m for m in layers if m.temporalProperties() and m.temporalProperties().isActive()]
    steps = slider_steps(project)
    months = {}
    for layer in temporal:
        when = layer.temporalProperties()
        months[layer.name()] = {
            "shown": [name for name, step in steps.items() if when.isVisibleInTemporalRange(step)],
            "band": layer.renderer().band(),
            "source": layer.source(),
        }
    found["project"] = {
        "title": project.title(),
        "crs": project.crs().authid(),
        "valid": {layer.name(): layer.isValid() for layer in layers},
        "sources": sorted({layer.source().split("|")[0] for layer in layers}),
        "months": months,
        "steps": list(steps),
        "groups": [g.name() for g in project.layerTreeRoot().findGroups(True)],
    }
    nodes = project.layerTreeRoot().findLayers()
    found["project"]["unresolved"] = [n.layerId() for n in nodes if n.layer() is None]
    if len(sys.argv) > 3:
        visible = [node.layer() for node in nodes if node.isVisible()]
        render(visible, temporal[0].extent(), folder / "qgis.png", steps[sys.argv[3]])
    found["pages"] = pages(project, folder)
    found["themes"] = shown_by_themes(project)
    found["metadata"] = [project.metadata().title(), project.metadata().abstract()]
    assert project.read(str(folder / "narcf_bands.qgz"))
    found["by_band"] = {layer.name(): layer.isValid() for layer in project.mapLayers().values()}
    print(json.dumps(found))
    project.clear()


QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False)
application.initQgis()
main(Path(sys.argv[1]).resolve(), json.loads(sys.argv[2]))
application.exitQgis()
