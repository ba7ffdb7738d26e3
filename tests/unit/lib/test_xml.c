/* XML elements from hostile text. */

#include "lib/buffer.h"
#include "lib/text.h"
#include "lib/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void elements_are_found_by_paths_and_siblings(void **state) {
    (void)state;
    static const char text[] =
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        "<a xmlns='http://x/'><!-- no --><list>\n <item k='v'><id>1</id></item><other/>"
        "<item><id>2 &lt;&amp;<![CDATA[ <raw>]]></id></item></list><p:e xmlns:p='y'>é</p:e></a>";
    struct error err = ERROR_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    if (xml_parse(text, strlen(text), &document, &err) < 0)
        fail_msg("%s", err.text);
    const struct xml_node *root = xml_root(document);
    const struct xml_node *item = xml_find(root, "list.item");
    assert_string_equal(root->name, "a");
    assert_string_equal(xml_text(item, "id"), "1");
    item = xml_another(item);
    assert_string_equal(xml_text(item, "id"), "2 <& <raw>");
    assert_null(xml_another(item));
    assert_string_equal(xml_text(root, "e"), "é");
    assert_string_equal(xml_text(root, "list.none.id"), "");
    assert_null(xml_find(NULL, "x"));
}

static void what_is_no_document_of_ours_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "the XML"},
        {"no", "the XML is broken in line 1"},
        {"<a><b></a>", "the XML is broken in line 1"},
        {"<a>&e;</a>", "the XML is broken in line 1"},
        {"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "has a document type"},
        {"<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/x'><a/>", "has a document type"},
        {"<a>\n\n\x01</a>", "line 3"},
        {"<a/><b/>", "the XML is broken"},
        {"<a>\xff</a>", "the XML is broken"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct xml *document = NULL;
        assert_int_equal(xml_parse(cases[i].text, strlen(cases[i].text), &document, &err), -1);
        if (err.kind != ERROR_INVALID || !strstr(err.text, cases[i].part))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void depth_and_number_of_elements_are_bounded(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer text;
    struct error err = ERROR_NULL;
    struct xml *document = NULL;
    buffer_init(&text, XML_SIZE_MAX);
    for (int i = 0; i <= XML_DEPTH_MAX; i++)
        buffer_text(&text, "<a>");
    assert_int_equal(xml_parse(text.data, text.size, &document, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    buffer_clear(&text);
    buffer_text(&text, "<a>");
    for (int i = 0; i < XML_NODES_MAX; i++)
        buffer_text(&text, "<b/>");
    buffer_text(&text, "</a>");
    err = ERROR_NULL;
    assert_int_equal(xml_parse(text.data, text.size, &document, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_found_by_paths_and_siblings),
        cmocka_unit_test(what_is_no_document_of_ours_is_refused),
        cmocka_unit_test(depth_and_number_of_elements_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
