"""What plants call the columns of their verdict files: whole names, in the languages of the trade.

Case, accents, blanks and punctuation don't count, nor does what stands for "number" or "name"
around a word: ``Los-Nr.``, ``lot_id`` and ``N° de lot`` are all a lot.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

from pcb_spark.core import names

#: No word stands for two of our columns, nor for something else in another language.
_WORDS: Final = {
    names.REFERENCE: """reference referenz referenzbild referenzdatei golden goldenimage
        goldensample goldenboard goldmuster musterbild sollbild vergleichsbild refimage
        imageref refbild referenceimage imagereference imagedereference referencia imagenreferencia
        imagendereferencia imagemdereferencia riferimento immaginediriferimento referentiebeeld
        obrazwzorcowy wzorzec referencniobraz 标准图 标准图片 参考图 参考图像 参考图片 基準画像
        参照画像 マスター画像 기준이미지 기준영상""",
    names.BOARD_ID: """board boardid boardserial boardbarcode pcb pcba serial serialnumber sn snr
        seriennummer seriennr barcode leiterplatte platine prufling dut uut unitid unitidentifier
        numeroserie noserie nserie codebarre codebarres carte numerodeserie
        codigodebarras placa tarjeta scheda matricola numerodiserie codiceabarre serienummer
        printplaat numerseryjny seryjny plytka seriovecislo vyrobnicislo deska sorozatszam serino
        seri 板号 板编号 序列号 条码 条形码 基板 基板番号 シリアル シリアル番号 製造番号 バーコード
        基板id 시리얼 시리얼번호 바코드 기판 보드""",
    names.POSITION: """position pos refdes referencedesignator designator componentdesignator
        componentposition bezugszeichen bauteilposition einbauplatz einbauposition bestuckposition
        bestuckungsposition repere reperetopographique positioncomposant posicion
        posicioncomponente designador posizione posizionecomponente positie pozycja pozice pozicio
        konum 位号 元件位号 元件位置 位置番号 部品位置 回路番号 回路記号 부품위치""",
    names.PART_NUMBER: """part partnumber pn mpn artikel artikelnummer teilenummer teilnummer
        sachnummer materialnummer bauteilnummer komponentennummer article codearticle
        referencearticle articulo codigoarticulo numerodeparte numerodepieza codicearticolo
        articolo codicecomponente onderdeelnummer artikelcode numerczesci cislodilu cikkszam
        alkatreszszam parcano 料号 物料号 物料编码 物料编号 品番 部品番号 部番 部品コード 零件号
        품번 부품번호 자재번호""",
    names.LOT: """lot lots batch los losnummer charge chargennummer chargen lote lotto partia sarze
        tetel parti partij partijnummer 批次 批次号 批号 ロット ロット番号 ロットno
        로트 로트번호""",
    names.LINE: """line productionline smtline aoiline linie fertigungslinie produktionslinie
        smtlinie linien ligne lignedeproduction linea lineadeproduccion lineadiproduzione linha lijn
        productielijn linia linka gyartosor uretimhatti 线体 線体 产线 线别 生产线 ライン 生産ライン
        라인 생산라인""",
    names.DEFECTS: """defect defects defecttype fault faulttype failure failuremode error errortype
        fehler fehlerart fehlertyp fehlerbild fehlerbeschreibung fehlertext defekt defekte
        defektart defaut defauts typededefaut codedefaut defecto defectos tipodefecto
        tipodedefecto codigodefecto difetto difetti codicedifetto tipodifetto defeito fout wada
        kodwady rodzajwady vada kodvady hiba hibakod hata 不良 不良内容 不良名 不良类型 不良代码
        不良コード 缺陷 缺陷类型 缺陷代码 欠陥 불량 불량코드 불량유형 결함""",
    names.OPERATOR_ID: """operator user inspector reviewer verifier employee prufer prufername
        bediener mitarbeiter mitarbeiternummer personalnummer werker operateur controleur operario
        operador operatore controllore kontroler obsluha kezelo 作业员 操作员 检验员
        检查员 员工 工号 作業者 検査者 検査員 作業員 担当者 작업자 검사자 검사원""",
}  # fmt: skip
#: A part by its place or by its number: what stands in the column decides.
_PART_OR_PLACE: Final = """component comp bauteil bauelement composant componente onderdeel
    komponent komponente location loc 元件 部品 부품"""
_BEFORE: Final = re.compile(
    r"^(?:numerode|numerodi|numeroda|numero|idde|node|nde|nr|no|n|id)(?=..)"
)
_BEHIND: Final = re.compile(
    r"(?<=..)(?:number|nummer|numero|num|nbr|no|nr|id|name|code|kennung|bezeichnung|naam|nazwa"
    r"|号|编号|番号|번호|名|명)$"
)
_TRANSCRIBED: Final = re.compile(r"([aou])e")


def known(name: str) -> str | None:
    """Which of our columns a plant's name of one stands for; None where that isn't sure."""
    return next((_ours()[each] for each in _readings(name) if each in _ours()), None)


def is_part_or_place(name: str) -> bool:
    """Say whether a name stands for a component's position or for its part number."""
    return any(each in _loose() for each in _readings(name))


def plain(name: str) -> str:
    """Letters and digits of a name, without case and accents; ``ue`` is an ü, as in ``Pruefer``."""
    spread = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(c for c in spread if c.isalnum() and not unicodedata.combining(c))
    return _TRANSCRIBED.sub(r"\1", unicodedata.normalize("NFC", bare))


def _readings(name: str) -> Iterator[str]:
    """The name, and what is left of it without the words for number or name around it."""
    whole = plain(name)
    yield whole
    yield _BEHIND.sub("", whole)
    yield _BEFORE.sub("", whole)


@cache
def _ours() -> dict[str, str]:
    return {plain(word): ours for ours, words in _WORDS.items() for word in words.split()}


@cache
def _loose() -> frozenset[str]:
    return frozenset(plain(word) for word in _PART_OR_PLACE.split())
