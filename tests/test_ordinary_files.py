"""Files of ordinary users that guards must not stand in the way of, and the test that reads each."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
ORDINARY = {
    "data/test_vrt.py": {
        "test_sources_beside_it_on_a_server_and_within_another": (
            "a local virtual raster with sources on a server"
        ),
        "test_local_sources_outside_the_folder_are_refused_unless_allowed": (
            "a local virtual raster whose sources lie in a folder allowed by flag"
        ),
    },
    "data/test_access.py": {
        "test_inner_addresses_are_refused_unless_named": "a STAC host on a private network, allowed by flag",
        "test_public_hosts_are_allowed": "items on public hosts other than the catalog's",
        "test_local_files_lie_in_the_typed_folder_or_an_allowed_one": (
            "items whose rasters lie in another folder, allowed by flag"
        ),
        "test_gdals_names_are_undone": "addresses in GDAL's own spelling",
        "test_an_href_is_told_without_its_secrets": "signed addresses",
    },
    "data/test_stac_files.py": {
        "test_children_in_circles_missing_or_broken": "a catalog in circles and with a child that is gone",
        "test_every_container_gives_the_items_and_reads_them": "items as a list, NDJSON, a saved page",
        "test_stac_geoparquet_is_a_table_of_items": "items as stac-geoparquet",
        "test_one_bad_member_is_one_problem": "one broken item among good ones",
    },
    "data/test_stac.py": {
        "test_item_collections_single_items_and_folders_are_catalogs_too": (
            "a single item, an item collection, a folder"
        ),
        "test_an_item_without_grid_or_bands_is_completed_from_its_raster": "items without grid or bands",
        "test_one_raster_per_band_with_common_names": "one raster per band",
        "test_without_the_property_place_scenes_are_grouped_by_footprint": "items without the property place",
    },
    "data/test_stac_item.py": {
        "test_cloud_cover_in_every_form": "cloud cover as text, null or -1",
        "test_a_grid_on_the_antimeridian_lies_in_a_bbox_across_it": "a scene on the antimeridian",
        "test_gdals_order_is_read_where_the_bbox_proves_it": "a transform in GDAL's order",
    },
    "data/test_units.py": {
        "test_no_ground_is_dropped_before_or_after_baseline_04": (
            "sea, lakes, deserts, snow, burnt scars, twilight"
        ),
        "test_water_darker_than_any_is_a_picture": "water darker than any",
        "test_values_that_prove_nothing_contradict_no_unit": "a dark scene whose values prove nothing",
        "test_a_window_of_bright_city_is_read_as_its_scene_is": "a city brighter than its scene",
        "test_fills_that_nothing_declares_are_masked_and_noted": "fills that nothing declares",
        "test_amplitude_is_twenty_log_ten_and_power_ten": "radar as amplitude or power",
        "test_reflectance_of_sixteen_bits_is_shown_as_the_metadata_scale_it": (
            "reflectance of sixteen bits with a scale"
        ),
    },
    "data/test_window_pixels.py": {
        "test_a_raster_stored_from_south_to_north_is_read_as_its_turned_copy": (
            "a raster stored from south to north"
        ),
        "test_another_utm_zone_is_reprojected_to_the_nearest_pixel": "a raster in another UTM zone",
        "test_a_geographic_grid_across_the_antimeridian_is_read_whole": (
            "a geographic raster across the antimeridian"
        ),
        "test_an_internal_mask_is_obeyed": "a raster with an internal mask",
        "test_near_infrared_tagged_as_alpha_is_no_mask_and_true_alpha_is": "near infrared tagged as alpha",
    },
    "data/test_reader.py": {
        "test_a_raster_of_a_million_pixels_a_side_is_read_where_it_is_asked": (
            "a raster of a million pixels a side"
        ),
        "test_a_large_chip_is_read_in_its_middle": "a large chip",
        "test_bad_dates_are_left_out_with_their_reason_and_the_place_goes_on": (
            "dates of which some cannot be read"
        ),
    },
    "data/test_raster.py": {
        "test_a_raster_is_read_over_http": "a raster over HTTP",
    },
    "indexer/test_area_files.py": {
        "test_byte_order_marks": "GeoJSON with a byte order mark",
        "test_features_by_line": "GeoJSON by lines",
        "test_other_formats_are_read_by_gdal": "GeoPackage, KML, Shapefile, FlatGeobuf",
        "test_other_projections_are_brought_to_lonlat": "areas in another projection",
    },
    "indexer/geo/test_search_area.py": {
        "test_boxes_anywhere": "boxes with negative coordinates and across the antimeridian",
        "test_a_ring_around_a_pole_holds_the_pole": "an area around a pole",
    },
    "indexer/table/test_foreign.py": {
        "test_columns_that_nobody_knows_are_searched_by_where": (
            "columns that nobody knows, in a table of others"
        ),
        "test_places_in_every_form_are_the_same_places": "places as WKB, GeoArrow, text or cells",
        "test_times_in_every_spelling": "times in every spelling",
    },
    "indexer/test_old_table.py": {
        "test_it_answers_as_it_did_with_its_index_and_without": "a table of an earlier version",
    },
}


def test_they_are_forty() -> None:
    assert sum(map(len, ORDINARY.values())) >= 40


@pytest.mark.parametrize("path", ORDINARY)
def test_each_is_read_by_a_test_that_runs(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    tests = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert ORDINARY[path].keys() <= tests.keys()
    marks = [ast.unparse(mark) for name in ORDINARY[path] for mark in tests[name].decorator_list]
    assert not any("skip" in mark or "xfail" in mark for mark in marks)
