"""Which linear algebra the JVM found: it decides how fast ALS is, and may decide the last bit of a factor."""

from pathlib import Path

from pyspark.sql import SparkSession

from spark.java import jvm_of

JVM_KINDS = {"VectorBLAS": "Vector API", "Java11BLAS": "pure Java", "Java8BLAS": "pure Java"}


def describe_blas(session: SparkSession) -> str:
    """Name the BLAS of the driver's JVM: "OpenBLAS (native)", "native", "Vector API" or "pure Java".

    On a cluster the executors find their own; give all machines the same packages.
    """
    module = jvm_of(session).java.lang.Class.forName("org.apache.spark.ml.linalg.BLAS$").getField("MODULE$").get(None)
    implementation = str(module.nativeBLAS().getClass().getSimpleName())
    if implementation == "JNIBLAS":
        return "OpenBLAS (native)" if _has_mapped(session, "openblas") else "native"
    return JVM_KINDS.get(implementation, implementation)


def _has_mapped(session: SparkSession, library: str) -> bool:
    """Say whether a library whose file name contains `library` is loaded by the JVM, where Linux tells."""
    pid = jvm_of(session).java.lang.ProcessHandle.current().pid()
    maps = Path(f"/proc/{pid}/maps")
    return maps.exists() and library in maps.read_text()
