"""Watches i-PI and its drivers while they run: who answers, hangs or dies, and what that means."""
